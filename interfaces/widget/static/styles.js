// The widget's style, inside its shadow root: the page's own styles can't reach it.
export default `
:host { --accent: #2f6f5e; --on-accent: #fff; --bg: #fff; --fg: #1d2522; --mute: #65716c;
  --line: #e3e8e6; --theirs: #f1f4f3; --bad: #b3261e; all: initial; color-scheme: light dark;
  font: 15px/1.45 system-ui, -apple-system, "PingFang SC", "Noto Sans CJK SC", sans-serif; }
@media (prefers-color-scheme: dark) {
  :host { --accent: #6fc3ab; --on-accent: #10211c; --bg: #1a201e; --fg: #e8eeeb; --mute: #9aa8a2;
    --line: #313a37; --theirs: #262e2b; --bad: #f2b8b5; } }
* { box-sizing: border-box; }
button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
svg { width: 22px; height: 22px; fill: none; stroke: currentColor; stroke-width: 2;
  stroke-linecap: round; stroke-linejoin: round; }
.launcher { position: fixed; right: 20px; bottom: 20px; width: 56px; height: 56px; z-index: 2147483000;
  border-radius: 50%; background: var(--accent); color: var(--on-accent); display: grid;
  place-items: center; box-shadow: 0 6px 20px rgb(0 0 0 / .22); }
.badge { position: absolute; top: -4px; right: -4px; min-width: 20px; padding: 0 6px; height: 20px;
  border-radius: 10px; background: #c0392b; color: #fff; font-size: 12px; line-height: 20px; }
.panel { position: fixed; right: 20px; bottom: 88px; width: min(380px, calc(100vw - 40px));
  height: min(580px, calc(100vh - 120px)); z-index: 2147483000; background: var(--bg); color: var(--fg);
  border: 1px solid var(--line); border-radius: 16px; overflow: hidden; display: flex;
  flex-direction: column; box-shadow: 0 12px 40px rgb(0 0 0 / .2); }
[hidden] { display: none !important; }
header { display: flex; align-items: center; gap: 12px; padding: 16px; background: var(--accent);
  color: var(--on-accent); }
header div { flex: 1; } header strong { display: block; } header small { opacity: .85; }
.state { padding: 6px 16px; font-size: 13px; background: var(--theirs); color: var(--mute); }
.messages { flex: 1; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 8px; }
.message { max-width: 82%; align-self: flex-start; }
.message.mine { align-self: flex-end; text-align: right; }
.bubble { display: inline-block; text-align: left; padding: 9px 13px; border-radius: 14px;
  background: var(--theirs); white-space: pre-wrap; overflow-wrap: anywhere; }
.mine .bubble { background: var(--accent); color: var(--on-accent); }
.recalled .bubble { background: none; border: 1px dashed var(--line); color: var(--mute); }
.meta { font-size: 12px; color: var(--mute); margin-top: 2px; }
.failed .meta { color: var(--bad); }
.typing { padding: 0 16px 6px; font-size: 13px; color: var(--mute); min-height: 24px; }
form { display: flex; gap: 8px; padding: 12px; border-top: 1px solid var(--line); }
textarea { flex: 1; resize: none; font: inherit; color: inherit; background: var(--bg); padding: 8px 10px;
  border: 1px solid var(--line); border-radius: 10px; max-height: 120px; }
.send { background: var(--accent); color: var(--on-accent); border-radius: 10px; width: 42px;
  display: grid; place-items: center; }
.send:disabled { opacity: .4; cursor: default; }
.ended { padding: 14px; border-top: 1px solid var(--line); text-align: center; }
.ended button { margin-top: 8px; padding: 8px 14px; border-radius: 10px; background: var(--accent);
  color: var(--on-accent); }
@media (max-width: 480px) { .panel { right: 0; bottom: 0; width: 100vw; height: 100dvh; border-radius: 0; } }
`;
