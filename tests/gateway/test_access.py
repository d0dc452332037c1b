"""Who comes in: keys, their rotation, the page's sign-in, and what other sites may not do."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dtwinseger.client import Client
from dtwinseger.credentials import credential, new_key
from dtwinseger.problems import Problem
from gateway.app import create
from tests.doubles.services import Script
from tests.gateway.conftest import Gateway, gateway, png

KEY, OTHER = new_key(), new_key()
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[Gateway]:
    """A gateway with two tenants; the client has no key by itself."""
    keys = f"{credential('acme', KEY)},{credential('globex', OTHER)}"
    with gateway(Script(), monkeypatch, store_url, api_keys=keys) as running:
        yield running


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_a_known_key_nothing_is_done(keyed: Gateway) -> None:
    for headers in (
        {},
        bearer(new_key()),
        {"Authorization": "Bearer"},
        {"Authorization": "Basic eDp5"},
        {"Cookie": "dtwinseger_key=x"},
    ):
        response = keyed.segment(**headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["request_id"] == response.headers["x-request-id"]
    for path in ("/", f"/dt/{'0' * 32}", "/metrics", "/nowhere"):
        assert keyed.http.get(path).status_code == 401
    assert not keyed.script.calls


def test_a_long_body_without_a_key_is_answered_and_not_kept(keyed: Gateway) -> None:
    response = keyed.segment(png() + bytes(15_000_000))
    assert response.json()["code"] == "unauthorized"


def test_health_schema_and_style_are_open(keyed: Gateway) -> None:
    for path in ("/livez", "/readyz", "/openapi.json", "/static/style.css"):
        assert keyed.http.get(path).status_code == 200
    assert keyed.http.get("/metrics", headers=bearer(KEY)).status_code == 200


def test_the_client_sends_its_key(keyed: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    url = str(keyed.http.base_url)
    with Client(url, api_key=KEY) as client:
        result = client.segment(png(), "the mug")
    monkeypatch.setenv("DTWINSEGER_API_KEY", KEY)
    with Client(url) as client:
        assert client.twin(result.twin_id).id == result.twin_id
    with Client(url, api_key=OTHER) as client, pytest.raises(Problem) as caught:
        client.twin(result.twin_id)
    assert caught.value.code == "not_found"
    with pytest.raises(Problem, match="no key has"):
        Client(url, api_key="two\nlines")


def test_another_tenants_twin_does_not_exist(keyed: Gateway) -> None:
    mine = keyed.segment(**bearer(KEY)).json()["twin_id"]
    before = keyed.script.calls["proposals"]
    theirs = keyed.segment(**bearer(OTHER)).json()["twin_id"]
    assert theirs != mine, "an id tells nothing of what others asked"
    assert keyed.script.calls["proposals"] == before + 1, "nothing is shared, not even the time that it takes"
    for path in ("", "/overlay.png", "/mask.png", "/objects/1/mask.png", "/events"):
        response = keyed.http.get(f"/dt/{mine}{path}", headers=bearer(OTHER))
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert keyed.http.get(f"/dt/{mine}{path}", headers=bearer(KEY)).status_code == 200
    again = keyed.http.post(f"/dt/{mine}/segment", json={"query": "the cup"}, headers=bearer(OTHER))
    assert again.status_code == 404
    assert keyed.http.delete(f"/dt/{mine}", headers=bearer(OTHER)).status_code == 404
    assert keyed.http.get(f"/dt/{mine}", headers=bearer(KEY)).json()["query"] == "the mug"


def test_a_build_of_another_tenant_is_not_seen_nor_stopped(keyed: Gateway) -> None:
    keyed.script.failing["reason"] = "hang"
    started = keyed.segment(**bearer(KEY), Prefer="respond-async")
    assert started.status_code == 202
    place = started.headers["location"]
    assert keyed.http.get(place, headers=bearer(KEY)).json()["status"] == "building"
    for response in (
        keyed.http.get(place, headers=bearer(OTHER)),
        keyed.http.get(f"{place}/events", headers=bearer(OTHER)),
        keyed.http.delete(place, headers=bearer(OTHER)),
    ):
        assert response.json()["code"] == "not_found"
    assert keyed.http.get(place, headers=bearer(KEY)).json()["status"] == "building"


def test_keys_of_a_file_are_rotated_without_a_restart(
    monkeypatch: pytest.MonkeyPatch, store_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{credential('acme', KEY)}\n")

    def replace(text: str) -> None:
        (tmp_path / "new").write_text(text)
        os.replace(tmp_path / "new", file)

    with gateway(Script(), monkeypatch, store_url, api_keys_file=str(file)) as front:
        mine = front.segment(**bearer(KEY)).json()["twin_id"]
        replace(f"{credential('acme', KEY)}\n{credential('acme', OTHER)}\n")
        assert front.http.get(f"/dt/{mine}", headers=bearer(OTHER)).status_code == 200
        replace(f"{credential('acme', OTHER)}\n")
        assert front.http.get(f"/dt/{mine}", headers=bearer(KEY)).status_code == 401
        for broken in ("acme:nonsense\n", ""):
            replace(broken)
            assert front.http.get(f"/dt/{mine}", headers=bearer(OTHER)).status_code == 200, "the keys of before stand"
            assert front.http.get(f"/dt/{mine}", headers=bearer(KEY)).status_code == 401


@pytest.mark.parametrize("text", ["", "# none yet\n", "acme:nonsense\n", None])
def test_a_gateway_that_should_ask_for_keys_does_not_come_up_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("GATEWAY_API_KEYS_FILE", str(file))
    with pytest.raises(SystemExit, match=r"^gateway cannot start: [^\n]*$"):
        create()


def test_a_browser_signs_in_and_out(keyed: Gateway) -> None:
    browser = keyed.http
    place = f"/dt/{keyed.segment(**bearer(KEY)).json()['twin_id']}"
    asked = browser.get(place, headers=BROWSER)
    assert asked.status_code == 401
    assert asked.headers["content-type"].startswith("text/html")
    assert f'value="{place}"' in asked.text
    wrong = browser.post("/signin", data={"key": OTHER[:-1], "page": place}, headers=BROWSER)
    assert (wrong.status_code, wrong.headers.get("set-cookie")) == (401, None)
    assert "not known" in wrong.text
    assert OTHER[:-1] not in wrong.text
    done = browser.post("/signin", data={"key": KEY, "page": place}, headers=BROWSER)
    assert (done.status_code, done.headers["location"]) == (303, place)
    flags = {part.strip().lower() for part in done.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert "secure" not in flags, "this is plain http"
    assert "Sign out" in browser.get(place, headers=BROWSER).text
    assert browser.get(f"{place}/overlay.png").status_code == 200, "an image is sent no header"
    assert keyed.segment(query="the cup", **BROWSER).status_code == 200
    assert browser.post("/signout", headers=BROWSER).status_code == 303
    assert browser.get(place, headers=BROWSER).status_code == 401


def test_the_cookie_is_secure_behind_https(keyed: Gateway) -> None:
    response = keyed.http.post("/signin", data={"key": KEY}, headers=BROWSER | {"X-Forwarded-Proto": "https"})
    assert "; secure" in response.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "page", ["//evil.example/", "https://evil.example", "/\\evil", "/dt/../x", "javascript:alert(1)"]
)
def test_a_sign_in_leads_to_no_other_site(keyed: Gateway, page: str) -> None:
    response = keyed.http.post("/signin", data={"key": KEY, "page": page}, headers=BROWSER)
    assert response.headers["location"] == "/"


ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=lambda headers: next(iter(headers.values())))
def test_a_page_of_another_site_can_do_nothing_in_the_name_of_a_visitor(
    keyed: Gateway, elsewhere: dict[str, str]
) -> None:
    cookie = {"Cookie": f"dtwinseger_key={KEY}"}
    identity = keyed.segment(**cookie).json()["twin_id"]
    assert keyed.segment(query="more", **cookie, **elsewhere).status_code == 401
    assert keyed.http.delete(f"/dt/{identity}", headers=cookie | elsewhere).status_code == 401
    assert keyed.http.post("/signin", data={"key": OTHER}, headers=elsewhere).status_code == 401
    assert keyed.http.post("/signout", headers=cookie | elsewhere).status_code == 401
    assert keyed.segment(query="more", **bearer(KEY), **elsewhere).status_code == 200, "a key in the header is meant"
    host = keyed.http.base_url.netloc.decode()
    assert keyed.segment(**cookie, Origin=f"http://{host}").status_code == 200


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=lambda headers: next(iter(headers.values())))
def test_nor_where_no_keys_are_asked_for(front: Gateway, elsewhere: dict[str, str]) -> None:
    assert front.segment(**elsewhere).status_code == 401
    assert not front.script.calls


def test_a_password_that_the_browser_adds_for_a_proxy_is_no_key(front: Gateway) -> None:
    elsewhere = {"Origin": "https://evil.example", "Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
    assert front.segment(**elsewhere).status_code == 401
    assert not front.script.calls


def test_without_keys_everyone_is_the_public(front: Gateway) -> None:
    assert front.segment(**bearer("anything")).json()["twin_id"] == front.segment().json()["twin_id"]
    assert "Sign out" not in front.http.get("/").text


def test_every_answer_tells_browsers_what_they_may(keyed: Gateway) -> None:
    identity = keyed.segment(**bearer(KEY)).json()["twin_id"]
    answers: list[httpx2.Response] = [
        keyed.http.get(path, headers=bearer(KEY) | accept)
        for path in ("/", f"/dt/{identity}", f"/dt/{identity}/overlay.png", "/static/ask.js", "/nowhere", "/livez")
        for accept in ({}, BROWSER)
    ]
    answers += [
        keyed.http.get("/", headers=BROWSER),
        keyed.http.put("/segment"),
        keyed.segment(png() + bytes(21_000_000)),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_pages_have_no_script_or_style_that_the_policy_forbids(keyed: Gateway) -> None:
    identity = keyed.segment(**bearer(KEY)).json()["twin_id"]
    for path in ("/", f"/dt/{identity}"):
        for headers in (BROWSER, BROWSER | bearer(KEY)):
            text = keyed.http.get(path, headers=headers).text
            assert " style=" not in text
            assert "<style" not in text
            assert " onclick=" not in text
            assert text.count("<script") == text.count('<script type="module" src="/static/')
