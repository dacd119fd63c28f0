import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { delayMs } from "../../interfaces/widget/static/backoff.js";
import { detect, translator } from "../../interfaces/widget/static/i18n.js";
import consoleTexts from "../../interfaces/console/static/strings.js";
import widgetTexts from "../../interfaces/widget/static/strings.js";

const folders = {
  console: new URL("../../interfaces/console/static/", import.meta.url),
  widget: new URL("../../interfaces/widget/static/", import.meta.url),
};

test("every text is there in both languages, with the same values to fill in", () => {
  for (const catalogue of [consoleTexts, widgetTexts]) {
    for (const [key, texts] of Object.entries(catalogue)) {
      assert.equal(texts.length, 2, key);
      const [zh, en] = texts.map((text) => (text.match(/\{\w+\}/g) ?? []).sort());
      assert.deepEqual(zh, en, key);
    }
  }
});

test("every text that the code asks for by name is there", () => {
  for (const [name, catalogue] of [["console", consoleTexts], ["widget", widgetTexts]]) {
    for (const file of readdirSync(folders[name]).filter((f) => f.endsWith(".js"))) {
      const code = readFileSync(new URL(file, folders[name]), "utf8");
      for (const [, key] of code.matchAll(/\bt\("([\w-]+)"/g)) assert.ok(catalogue[key], `${file}: ${key}`);
    }
  }
});

test("values are filled in, and an unknown key shows itself", () => {
  const t = translator({ hi: ["你好 {name}", "Hi {name}"] }, "zh");
  assert.equal(t("hi", { name: "李雷" }), "你好 李雷");
  assert.equal(t("absent"), "absent");
});

test("the language is the stored one, else the browser's", () => {
  assert.equal(detect("en", "zh-CN"), "en");
  assert.equal(detect(null, "zh-TW"), "zh");
  assert.equal(detect(null, "fr"), "en");
  assert.equal(detect("klingon", "zh"), "zh");
});

test("delays grow to a bound and are spread", () => {
  assert.equal(delayMs(0, () => 0), 250);
  assert.equal(delayMs(0, () => 1), 500);
  assert.ok(delayMs(50, () => 1) <= 15_000);
});

test("no script uses innerHTML, eval or an address of another host", () => {
  for (const folder of Object.values(folders)) {
    for (const file of readdirSync(folder).filter((f) => f.endsWith(".js"))) {
      const code = readFileSync(new URL(file, folder), "utf8").replace(/\/\/.*$/gm, "");
      assert.ok(!/innerHTML|outerHTML|\beval\(|document\.write/.test(code), file);
      for (const address of code.match(/https?:\/\/[^"'`]+/g) ?? []) {
        assert.equal(address, "http://www.w3.org/2000/svg", file);
      }
    }
  }
});
