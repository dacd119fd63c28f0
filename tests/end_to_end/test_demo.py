"""`kefu demo` fills a running system through its public API."""

import json

from tests.serving import PASSWORD, Kefu, wait_until


def test_demo_tells_stories_in_both_languages(kefu: Kefu) -> None:
    done = kefu.cli("demo", "-n", "20", "--url", kefu.url, "--json")
    told = json.loads(done.stdout)
    assert told["conversations"] == 20
    token = kefu.login()
    path = "/api/v1/conversations?limit=200&status=all&q="
    wait_until(lambda: kefu.get(path + "Portugal", token)[1]["data"], 10, "English is found")
    wait_until(lambda: kefu.get(path + "%E9%BE%99%E4%BA%95", token)[1]["data"], 10, "龙井 is found")


def test_demo_with_a_wrong_password_says_so(kefu: Kefu) -> None:
    done = kefu.cli("demo", "--url", kefu.url, "--password", PASSWORD + "x", check=False)
    assert done.returncode == 1
    assert "wrong" in done.stderr
    assert "Traceback" not in done.stderr
