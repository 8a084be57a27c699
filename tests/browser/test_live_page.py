"""The live page says what the numbers say: to eyes, to a keyboard, to a screen reader, on a phone."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from playwright.async_api import expect

from sidecar.telemetry.call_record import DecisionRecord
from sidecar.telemetry.event_metrics import FIRST_BYTE_BOUNDS_S, ROUTING_BOUNDS_S
from sidecar.telemetry.status import (
    Buckets,
    BucketsBySource,
    ConfigStatus,
    ReloadStatus,
    RouterStatus,
    StoreStatus,
)
from tests.support.browser import NARROW, PATIENCE_MS, Watched, watched_page
from tests.support.live_status import (
    COOLING,
    SERVING,
    MadeUpSidecar,
    a_call_record,
    a_candidate,
    a_status,
    counts,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<img src=x onerror=\"document.title='owned'\">\"'><script>document.title='owned'</script>\u202e"
LONG = "m" * 4000
REDIS = "redis at redis:6379"


def a_bad_night(**changes: Any) -> dict[str, Any]:
    """Fields of a status in which much is wrong."""
    return {
        "candidates": [
            a_candidate(),
            a_candidate(
                COOLING, account="eu", state="ejected", reason="our_credential", left_s=212.0,
                cause="credential refused", place="api.anthropic.com:443", to_do="put a valid key",
            ),
            a_candidate("groq/llama", state="cooling", reason="busy", left_s=12.0),
        ],
        "store": StoreStatus(REDIS, True, False, False, 41, 17),
        "router": RouterStatus("vllm/qwen3-4b", True, {"breaker_open": 4, "matched": 18}),
        "calls": [
            a_call_record(1),
            a_call_record(
                2, status=503, outcome="upstream_error", error="upstream_connect_failed",
                attempts=2, source="fallback", cause="connection refused",
                decision=DecisionRecord("", 9, router_outcome="timeout"),
            ),
            a_call_record(3, status=404, outcome="client_error", error="model_not_found",
                          model=None, routed_model=None, requested_model="gpt-99", source=None),
        ],
    } | changes  # fmt: skip


async def test_it_shows_what_the_status_says(shown: Watched):
    """Candidates, pins, router model, config and process, each with its words."""
    await shown.see("#verdict", "Nothing is wrong")

    assert "● serving" == (await shown.row("#candidates", SERVING))["State"]
    assert ["2 of 2 serving"] == await shown.read("#candidates-sum")
    for part, text in (
        ("#store", f"kept in\n{REDIS}\nRedis\n● up\ntracking\n● on\nnear cache\n41 pins"),
        ("#router", "model\nvllm/qwen3-4b\nbreaker\n● closed"),
        ("#config", "file\n/etc/plano/sidecar.yaml\nhash\n0123456789ab\ngeneration\n1, since 11:50:00 UTC"),
        ("#config", "Python\n3.11.7, uvloop\nhot path\ncompiled, listener fast"),
        ("header", "app-7d4f9c-x2x7q"),
    ):  # fmt: skip
        (shown_text,) = await shown.read(part)
        assert text in shown_text, part
    assert [] == shown.complaints


async def test_rates_and_quantiles_are_those_of_the_last_minute(
    shown: Watched, sidecar: MadeUpSidecar
):
    """Differences of the counters, not what they came to since the start."""
    await shown.see("#window", "measuring")
    sidecar.pass_time(
        10.0,
        requests={"ok": 195, "upstream_error": 5},
        decisions={"pinned": 105, "routed": 95},
        first_byte=Buckets(FIRST_BYTE_BOUNDS_S, counts(FIRST_BYTE_BOUNDS_S, b3=110, b5=90)),
        routing=BucketsBySource(
            ROUTING_BOUNDS_S,
            {
                "pinned": counts(ROUTING_BOUNDS_S, b1=105),
                "routed": counts(ROUTING_BOUNDS_S, b11=95),
            },
        ),
    )
    await shown.see("#tiles", "10 /s")
    (tiles,) = await shown.read("#tiles")

    assert "Requests\n10 /s\n100 requests\nsince the start: 200" in tiles
    assert "Errors\n5.0 %\n5 provider errors\nsince the start: 2.5 %" in tiles
    # 10 values of 100 lie below 0.5 s, the others between 1 and 2.5 s.
    assert "First byte, p95\n2.42 s\np50 1.67 s" in tiles
    pinned = await shown.row("#sources", "pinned")
    assert ("25", "0.08 ms") == (pinned["Calls"], pinned["p50"])
    assert "75" == (await shown.row("#sources", "routed"))["Calls"]


async def test_it_follows_what_happens(shown: Watched, sidecar: MadeUpSidecar):
    """Without a key pressed: a candidate fails, and serves again."""
    await shown.see("#verdict", "Nothing is wrong")
    sidecar.pass_time(1.0, **a_bad_night())
    await shown.see("#verdict", "eu is ejected: the provider refuses our key")
    await shown.see("#problems", "put a valid key")
    ejected = await shown.row("#candidates", COOLING)
    assert ("✕ ejected", "credential refused", "12:03:33, in 4 min") == tuple(
        ejected[name] for name in ("State", "Why", "Until, UTC")
    )
    sidecar.pass_time(1.0, **{name: getattr(a_status(), name) for name in a_bad_night()})
    await shown.see("#verdict", "Nothing is wrong")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "credential": (a_bad_night(), "refuses our key (credential refused, api.anthropic.com:443)."),
    "cooling": (a_bad_night(), "groq/llama is cooling: rate limited, overloaded or unreachable."),
    "redis": (a_bad_night(), f"Redis is down ({REDIS}): pins are kept in this process only, and 17"),
    "breaker": (a_bad_night(), "The router model's breaker is open"),
    "tracking": ({"store": StoreStatus(REDIS, True, True, False, 1, 0)}, "does not tell this process"),
    "reload": (
        {"config": ConfigStatus("c.yaml", "0123", 1, 0.0, [], 0, ReloadStatus(0.0, False, 0.0, ["c.yaml:3: no"]))},
        "The changed config cannot be used, the one before serves on: c.yaml:3: no",
    ),
    "restart": (
        {"config": ConfigStatus("c.yaml", "0123", 2, 0.0, [], 0,
                                ReloadStatus(0.0, True, 0.0, awaits_restart=["admin.port 1 -> 2"]))},
        "A part of the config awaits a restart: admin.port 1 -> 2.",
    ),
    "drain": ({"state": "draining"}, "The sidecar is draining: 3 calls in flight"),
    "start": ({"state": "starting"}, "not ready yet"),
    "full": ({"in_flight": 500}, "Nearly full: 500 of 512 calls are in flight"),
    "all": (
        {"candidates": [a_candidate(each, state="cooling", reason="failing", left_s=9.0)
                        for each in (SERVING, COOLING)]},
        "No candidate of the route “code generation” is well",
    ),
    "router": (
        {"router": RouterStatus("vllm/qwen3-4b", False, {"matched": 18, "other": 2, "timeout": 10})},
        "The router model failed 10 of 10 questions in the last 1 s: 10 timeout.",
    ),
    "errors": (
        {"requests": {"ok": 190, "upstream_error": 9, "incomplete": 1}},
        "10 calls of 100 failed in the last 1 s (10 %): 9 provider errors, 1 broken response.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_said_in_words(shown: Watched, sidecar: MadeUpSidecar, case: str):
    """An SRE need not know what a number means at three in the morning."""
    changes, text = WRONG[case]
    await shown.see("#window", "measuring")
    sidecar.pass_time(1.0, **changes)

    await shown.see("#verdict", text)
    assert "wrong" in await shown.page.title()


async def test_names_that_look_like_markup_stay_text(browser, sidecar: MadeUpSidecar):
    """Whatever an app, a provider or a config calls something: no element is made of it."""
    sidecar.status = a_status(
        candidates=[a_candidate(HOSTILE, account=HOSTILE, state="cooling", reason=HOSTILE)],
        config=ConfigStatus(HOSTILE, HOSTILE, 1, 0.0, [HOSTILE], 1, ReloadStatus(0.0, False, 0.0, [HOSTILE], [HOSTILE], [HOSTILE])),
        router=RouterStatus(HOSTILE, False, {HOSTILE: 3}),
        store=StoreStatus(HOSTILE, True, True, True, 1, 1),
        decisions={HOSTILE: 7},
        host=HOSTILE,
        calls=[
            a_call_record(1, request_id=HOSTILE, model=HOSTILE, route=HOSTILE, source=HOSTILE,
                          error=HOSTILE, outcome=HOSTILE, decision=DecisionRecord(HOSTILE, 9, HOSTILE)),
            a_call_record(2, request_id="__proto__", model="__proto__", route="constructor"),
        ],
    )  # fmt: skip
    async with watched_page(browser, sidecar.url) as shown:
        await shown.see("#config", HOSTILE)
        await shown.page.locator("#calls .opener").first.click()
        await shown.see("#calls .facts", HOSTILE)
        for table in ("#candidates", "#calls"):
            assert HOSTILE in (await shown.row(table, "img"))["Model"]

        made = "main img, main script, main iframe, main a, main [onerror], [onclick]"
        assert 0 == await shown.page.locator(made).count()
        assert "owned" != await shown.page.title()
        assert [] == shown.complaints


async def test_it_asks_for_nothing_but_itself_and_its_numbers(
    shown: Watched, sidecar: MadeUpSidecar
):
    """No font, no icon, no script from anywhere."""
    await shown.wait_for_polls(2)

    assert {sidecar.url, f"{sidecar.url}status"} == set(shown.asked)
    assert [] == shown.complaints


async def test_a_script_that_was_put_into_the_page_does_not_run(shown: Watched):
    """Should text ever become markup: the policy stops it."""
    await shown.see("#verdict", "Nothing is wrong")
    await shown.page.evaluate(
        "() => { const made = document.createElement('script');"
        " try { made.textContent = \"document.title = 'owned'\"; } catch {}"
        " document.body.append(made); }"
    )

    assert "owned" != await shown.page.title()
    assert any("Content Security Policy" in each or "TrustedScript" in each
               for each in shown.complaints), shown.complaints  # fmt: skip


async def test_a_sidecar_that_is_gone_is_said_to_be_gone(shown: Watched, sidecar: MadeUpSidecar):
    """With the time since when, and how old the numbers are; and it is noticed when it is back."""
    await shown.see("#verdict", "Nothing is wrong")
    await sidecar.stop()
    await shown.see("#verdict-heading", "The sidecar does not answer")
    await shown.see("#problems", "it cannot be reached. All below is from 12:00:00 UTC.")
    await shown.see("#age", "no answer; numbers are")
    await shown.see("#spoken", "it cannot be reached")
    assert "✕ no answer" in await shown.page.title()
    await sidecar.start()
    await shown.see("#verdict-heading", "Nothing is wrong")
    await shown.see("#spoken", "Nothing is wrong any more.")


@pytest.mark.parametrize(
    ("code", "schema", "said"),
    [(500, 1, "it replies with status 500"), (200, 2, "it is of another version than this page")],
)
async def test_numbers_that_cannot_be_read_are_said_to_be_so(
    shown: Watched, sidecar: MadeUpSidecar, code: int, schema: int, said: str
):
    """Old numbers never look like new ones."""
    await shown.see("#verdict", "Nothing is wrong")
    sidecar.code = code
    sidecar.pass_time(1.0, schema=schema)

    await shown.see("#problems", said)


async def test_a_restart_is_told_and_its_numbers_begin_anew(shown: Watched, sidecar: MadeUpSidecar):
    """Counters that went down are no negative rates."""
    sidecar.pass_time(5.0, requests={"ok": 200})
    await shown.see("#tiles", "20 /s")
    sidecar.status = a_status(uptime_s=2.0, requests={"ok": 1})
    await shown.see("#spoken", "The sidecar has restarted.")
    await shown.see("#window", "measuring")
    assert "-" not in "".join(await shown.read("#tiles .value"))


async def test_a_paused_page_asks_nothing(shown: Watched, sidecar: MadeUpSidecar):
    """What moves can be stopped; the age says that it is."""
    await shown.see("#verdict", "Nothing is wrong")
    pause = shown.page.get_by_role("button", name="Pause")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await shown.see("#age", "paused; numbers are 3 s old")
    polls = sidecar.polls
    await shown.see("#age", "paused; numbers are 6 s old")
    assert polls == sidecar.polls
    sidecar.pass_time(1.0, state="draining")
    await pause.click()
    await shown.see("#verdict", "The sidecar is draining")


async def test_a_reader_hears_states_and_no_numbers(shown: Watched, sidecar: MadeUpSidecar):
    """One polite region, silent while nothing changes."""
    await shown.see("#spoken", "Nothing is wrong.")
    await shown.page.evaluate(
        "() => { window.spoken_texts = []; new MutationObserver(() =>"
        " spoken_texts.push(document.getElementById('spoken').textContent))"
        ".observe(document.getElementById('spoken'), {childList: true, characterData: true, subtree: true}); }"
    )
    for seconds in (1.0, 2.0):
        sidecar.pass_time(seconds, requests={"ok": 200 + int(seconds)}, in_flight=9)
        await shown.wait_for_polls(2)
    assert [] == await shown.page.evaluate("spoken_texts")
    sidecar.pass_time(1.0, state="draining")
    await shown.see("#spoken", "The sidecar is draining")
    sidecar.pass_time(1.0, in_flight=1)
    await shown.see("#verdict", "1 call in flight")

    assert 1 == len(await shown.page.evaluate("spoken_texts"))
    assert 1 == await shown.page.locator("[aria-live], [role=status], [role=alert]").count()


LANDMARKS = """
- banner:
  - heading "plano-sidecar" [level=1]
- main:
  - region "Nothing is wrong"
  - region "The last minute"
  - region "Candidates":
    - table "Every configured model, whether it is used, and its last minute"
  - region "Decisions by source":
    - table "Why models were chosen in the last minute, and how long choosing took"
  - region "Pins"
  - region "Router model"
  - region "Config and process"
  - region "Last decisions":
    - table "The newest calls first; the button in front of a line opens its facts":
      - rowgroup:
        - row:
          - columnheader "Time, UTC"
          - columnheader "Status"
          - columnheader "Model"
          - columnheader "Route"
          - columnheader "Source"
          - columnheader "Took"
          - columnheader "Attempts"
          - columnheader "Why"
      - rowgroup:
        - row:
          - rowheader "11:59:58"
- contentinfo:
  - navigation "Other pages"
"""


@pytest.mark.parametrize("options", [{}, NARROW], ids=["wide", "narrow"])
async def test_a_screen_reader_finds_landmarks_headings_and_tables(
    browser, sidecar: MadeUpSidecar, options: dict[str, Any]
):
    """On a phone too, where lines are laid out as cards."""
    async with watched_page(browser, sidecar.url, **options) as shown:
        await shown.see("#verdict", "Nothing is wrong")

        await expect(shown.page.locator("body")).to_match_aria_snapshot(LANDMARKS)
        levels = await shown.page.evaluate(
            "Array.from(document.querySelectorAll('h1, h2, h3'), (each) => +each.tagName[1])"
        )
        assert 1 == levels[0]
        assert all(deeper <= level + 1 for level, deeper in itertools.pairwise(levels))
        charts = shown.page.get_by_role("img", name="Requests over the last two minutes")
        assert 1 == await charts.count()


async def test_the_keyboard_reaches_everything_and_is_never_trapped(
    shown: Watched, sidecar: MadeUpSidecar
):
    """In the order of the page, each with a visible ring, and out at its end."""
    sidecar.pass_time(1.0, calls=[a_call_record(1), a_call_record(2)])
    await shown.see("#calls-sum", "2 calls")
    focused = []
    for _ in range(12):
        await shown.page.keyboard.press("Tab")
        focused.append(await shown.page.evaluate(
            "() => { const at = document.activeElement, look = getComputedStyle(at);"
            " return [at.id || at.textContent.trim(), look.outlineStyle, parseFloat(look.outlineWidth)]; }"
        ))  # fmt: skip
    names = [name for name, _, _ in focused]

    wanted = ["Skip to what is wrong", "pause", "colours", "failures", "11:59:58", "11:59:57",
              "status", "clusters", "config_dump", "logging", "affinity"]  # fmt: skip
    assert wanted == names[: len(wanted)]
    assert "Skip to what is wrong" in [*names[len(wanted) :], names[0]]
    assert all(style == "solid" and width >= 2 for _, style, width in focused[: len(wanted)])


async def test_a_line_is_opened_by_its_button_and_stays_open(
    shown: Watched, sidecar: MadeUpSidecar
):
    """With the focus where it was, while new lines come before it; it goes with its call."""
    await shown.see("#calls-sum", "3 calls")
    opener = shown.page.get_by_role("button", name="11:59:57")
    await opener.focus()
    await shown.page.keyboard.press("Enter")
    await expect(opener).to_have_attribute("aria-expanded", "true")
    facts = await opener.get_attribute("aria-controls")
    await shown.see(f"[id='{facts}']", "req-2")
    await shown.see(f"[id='{facts}']", "0af7651916cd43dd8448eb211c80319c")
    await shown.see(f"[id='{facts}']", "router outcome")

    calls = [a_call_record(0), *(a_call_record(number) for number in (1, 2, 3))]
    sidecar.pass_time(1.0, calls=calls)
    await shown.see("#calls-sum", "4 calls")
    await expect(opener).to_be_focused()
    await shown.see(f"[id='{facts}']", "req-2")
    await shown.page.keyboard.press("Space")
    await expect(opener).to_have_attribute("aria-expanded", "false")
    assert 0 == await shown.page.locator(".facts").count()
    await opener.click()
    sidecar.pass_time(1.0, calls=calls[:2])
    await shown.see("#calls-sum", "2 calls")
    assert 0 == await shown.page.locator(".facts").count()


async def test_lines_say_why_and_failures_can_be_shown_alone(
    shown: Watched, sidecar: MadeUpSidecar
):
    """Which provider failed, and what the router model did, stands in the line."""
    sidecar.pass_time(1.0, **a_bad_night())
    await shown.see("#calls-sum", "3 calls, 2 failed")
    failed = await shown.row("#calls", "11:59:57")
    assert (
        "router model: timeout; 2 failed attempts: connection refused; upstream connect failed"
        == failed["Why"]
    )
    assert ("✕ 503", "812 ms", "2") == (failed["Status"], failed["Took"], failed["Attempts"])
    assert "gpt-99" == (await shown.row("#calls", "11:59:56"))["Model"]
    await shown.page.get_by_role("checkbox", name="failures only").check()

    assert ["11:59:57", "11:59:56"] == await shown.read("#calls .opener")


_CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((each) => each / 255)
    .map((each) => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4)
    .reduce((sum, each, at) => sum + each * [.2126, .7152, .0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility()
        || element.closest("script, noscript, .unseen")) continue;
    const pair = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    found.push([Math.round(ratio * 100) / 100, texts.currentNode.textContent.trim().slice(0, 30)]);
  }
  return found;
}"""


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("night", [{}, a_bad_night(), a_bad_night(store=a_status().store)])
async def test_all_text_stands_out(browser, sidecar: MadeUpSidecar, colours: Any, night: Any):
    """A contrast of at least 4.5, in both palettes, on every ground."""
    sidecar.status = a_status(**night)
    async with watched_page(browser, sidecar.url, color_scheme=colours) as shown:
        await shown.see("#calls-sum", "3 calls")
        await shown.page.locator("#calls .opener").first.click()
        contrasts = await shown.page.evaluate(_CONTRASTS)

    assert len(contrasts) > 60
    assert [] == [each for each in contrasts if each[0] < 4.5]


async def test_colours_follow_the_system_until_a_person_chooses(browser, sidecar: MadeUpSidecar):
    """And the choice is kept for the next time."""
    ground = "getComputedStyle(document.body).backgroundColor"
    async with watched_page(browser, sidecar.url, color_scheme="dark") as shown:
        dark = await shown.page.evaluate(ground)
        await shown.page.get_by_label("Colours").select_option("light")
        light = await shown.page.evaluate(ground)
        await shown.page.reload()
        assert light == await shown.page.evaluate(ground)
        await shown.page.get_by_label("Colours").select_option("")
        assert dark == await shown.page.evaluate(ground)
    assert dark != light


@pytest.mark.parametrize("name", [SERVING, LONG])
async def test_a_phone_shows_it_without_sideways_scrolling(
    browser, sidecar: MadeUpSidecar, name: str
):
    """360 px, whatever the names are."""
    night = a_bad_night(
        calls=[a_call_record(each, model=name, route=name, cause=name) for each in range(1, 4)],
        candidates=[a_candidate(name, account=name, state="cooling", reason=name, left_s=9.0)],
        config=ConfigStatus(
            name,
            "0123456789ab",
            1,
            0.0,
            [name],
            1,
            ReloadStatus(0.0, False, 0.0, [name], [name], [name]),
        ),
        host=name,
    )
    sidecar.status = a_status(**night)
    async with watched_page(browser, sidecar.url, **NARROW) as shown:
        await shown.see("#calls-sum", "3 calls")
        await shown.page.locator("#calls .opener").first.click()
        width, room = await shown.page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )

    assert (360, True) == (room, width <= room)


async def test_a_wide_screen_is_not_broken_by_a_long_name(browser, sidecar: MadeUpSidecar):
    """Nor by one that has no place to break."""
    sidecar.status = a_status(
        calls=[a_call_record(1, model=LONG, route=LONG, cause=LONG)],
        candidates=[a_candidate(LONG, account=LONG)],
        host=LONG,
    )
    async with watched_page(browser, sidecar.url) as shown:
        await shown.see("#calls-sum", "1 call")
        width, room = await shown.page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )

    assert width <= room


async def test_nothing_moves_for_those_who_want_no_motion(browser, sidecar: MadeUpSidecar):
    """Numbers change, nothing slides."""
    async with watched_page(browser, sidecar.url, reduced_motion="reduce") as shown:
        await shown.see("#verdict", "Nothing is wrong")
        await shown.page.keyboard.press("Tab")

        assert 0 == await shown.page.evaluate("document.getAnimations().length")


async def test_without_scripts_it_says_where_the_numbers_are(browser, sidecar: MadeUpSidecar):
    """A text browser gets the JSON."""
    async with watched_page(browser, sidecar.url, java_script_enabled=False) as shown:
        await expect(shown.page.locator("noscript")).to_be_visible(timeout=PATIENCE_MS)
        await shown.page.get_by_role("link", name="status").first.click()
        await shown.page.wait_for_url("**/status")

        assert 1 == json.loads(await shown.page.locator("body").inner_text())["schema"]
