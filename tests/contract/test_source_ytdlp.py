"""yt-dlp on a TikTok of the test's own: every signal and its class, and the ways a file may come or not come."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_tiktok import (
    FakeTiktok,
    Reply,
    Route,
    challenge_page,
    item,
    media,
    page,
    status_page,
    variant,
    video_page,
)

from recaster.errors import MediaInvalid
from recaster.infra.egress_proxy import EgressProxy
from recaster.infra.settings import Settings
from recaster.service.errors import InvalidTiktokId
from recaster.service.fetching.errors import COUNTED_SIGNALS, TryLater
from recaster.service.fetching.signals import LOGIN_TRIES, Signal, judge
from recaster.service.fetching.ytdlp import MAIN_WAY, SECOND_WAY, YtDlpFetcher, YtDlpOptions, source_profiles

pytestmark = pytest.mark.contract

ID = "7301234567890123456"
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(5000)


@dataclass(frozen=True)
class Site:
    fake: FakeTiktok
    fetcher: YtDlpFetcher
    proxy: EgressProxy
    folder: Path

    def look_up(self, seconds: float = 20) -> Any:
        return self.fetcher.look_up(ID, seconds=seconds)

    def fetch(self) -> Any:
        self.folder.mkdir()
        return self.fetcher.fetch(ID, self.folder, progress=lambda done, total: None, is_cancelled=lambda: False)


@contextmanager
def opened(tmp_path: Path, *, ways: tuple[str, ...] = (MAIN_WAY,), cookies: str = "", **changes: Any) -> Iterator[Site]:
    fake = FakeTiktok(tmp_path)
    settings = Settings(home=tmp_path / "home", source_ca_file=fake.ca_file, **changes)
    with EgressProxy(source_profiles(settings), resolver=fake.resolve, dial=fake.dial) as proxy:
        fetcher = YtDlpFetcher(
            settings, proxy, options=lambda: YtDlpOptions.from_settings(settings, cookies), ways=ways
        )
        yield Site(fake, fetcher, proxy, tmp_path / "fetched")
    fake.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as made:
        yield made


REDIRECT_TO_LOGIN = Reply(status=302, headers={"Location": "https://www.tiktok.com/login?next=x"})
CLASSIFIED = {"id": ID, "isContentClassified": True, "desc": "x", "author": {"uniqueId": "a"}}


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        (Reply(status_page(10216)), "private"),
        (Reply(status_page(10222)), "private"),
        (Reply(status_page(10204)), "unavailable_or_region_locked"),
        (Reply(video_page(CLASSIFIED)), "login_required"),
        (Reply(video_page(item(ID, video={"duration": 0}, imagePost={"images": [{}]}))), "not_a_video"),
        (Reply(video_page(item(ID, video={**item(ID)["video"], "duration": 600}))), "too_long"),
    ],
    ids=["private post", "private account", "10204", "classified", "photo post", "too long"],
)
def test_what_is_not_fetchable_says_why(site: Site, route: Route, reason: str) -> None:
    site.fake.page_of(ID, route)
    with pytest.raises(InvalidTiktokId) as caught:
        site.look_up()
    assert caught.value.details["reason"] == reason
    if reason == "not_a_video":
        assert caught.value.details["hint"] == "slideshow-remix"


@pytest.mark.parametrize(
    ("route", "signal"),
    [
        (REDIRECT_TO_LOGIN, "login"),
        (Reply(b"<html>nothing here</html>"), "broken"),
        (Reply(page({"webapp.app-context": {}})), "broken"),
        (Reply(b"<html>Please wait...</html>"), "broken"),
        (Reply(b"no", status=403), "blocked"),
        (Reply(b"slow down", status=429), "transient"),
        (Reply(b"oops", status=500), "transient"),
        (Reply(b"oops", status=503), "transient"),
        (Reply(status=302, headers={"Location": "https://evil.example/x"}), "refused"),
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/x"}), "refused"),
    ],
    ids=["login", "no data", "no video data", "challenge gone", "403", "429", "500", "503", "evil host", "loopback"],
)
def test_what_may_pass_is_tried_later(site: Site, route: Route, signal: str) -> None:
    site.fake.page_of(ID, route)
    site.fake.routes["/login"] = Reply(b"<html>log in</html>")
    with pytest.raises(TryLater) as caught:
        site.look_up()
    assert caught.value.signal == signal, caught.value
    assert caught.value.code == "SOURCE_UNAVAILABLE"
    assert (caught.value.then, caught.value.most_tries) == (
        ("login_required", LOGIN_TRIES) if signal == "login" else (None, None)
    )


def test_an_unknown_status_is_asked_about_twice_and_may_then_become_a_no(site: Site) -> None:
    site.fake.page_of(ID, Reply(status_page(100004)))
    with pytest.raises(TryLater) as caught:
        site.look_up()
    assert len(site.fake.requests(f"/video/{ID}")) == 2
    assert (caught.value.signal, caught.value.then) == ("unsure", "unavailable")
    assert caught.value.details["platformCode"] == 100004
    # A slip of the platform is forgotten at the second look.
    site.fake.page_of(ID, lambda seen: Reply(status_page(100004) if seen.count == 2 else video_page(item(ID))))
    assert site.look_up().author == "maya.studies"


def test_a_page_that_does_not_come_is_a_matter_of_time(site: Site) -> None:
    site.fake.page_of(ID, Reply(video_page(item(ID)), pause=30))
    with pytest.raises(TryLater) as caught:
        site.look_up(seconds=2)
    assert caught.value.signal == "transient"


def test_a_challenge_is_solved(site: Site) -> None:
    site.fake.page_of(
        ID,
        lambda seen: Reply(
            video_page(item(ID)) if "_wafchallengeid" in seen.headers.get("cookie", "") else challenge_page(4321)
        ),
    )
    assert site.look_up().tiktok_video_id == ID


def test_hostile_texts_come_out_clean(site: Site) -> None:
    post = item(
        ID,
        desc="\u202eevil\u0000 <script>alert(1)</script> #ok\u200b" + "x" * 10_000,
        author={"uniqueId": "../../etc/passwd", "id": "1"},
        stats={"playCount": -5, "diggCount": 10**30, "shareCount": "many", "commentCount": 3},
        createTime=10**18,
        video={**item(ID)["video"], "cover": "https://evil.example/track.gif"},
    )
    site.fake.page_of(ID, Reply(video_page(post)))
    found = site.look_up()
    assert found.caption is not None
    assert len(found.caption) <= 2000
    assert not set(found.caption) & {"\u202e", "\u0000", "\u200b"}
    assert found.hashtags[0].startswith("ok")
    assert (found.author, found.views, found.likes, found.shares, found.comments) == (None, None, None, None, 3)
    assert (found.published_at, found.thumbnail_url) == (None, None)


def formats(*names: str, **changes: Any) -> dict[str, Any]:
    """A post whose video has these variants only; names as in the address, with the codec before the dash."""
    known = {"hevc": "v12044gd0000_bytevc1_720p_900000", "vvc": "v12044gd0000_bytevc2_720p_900000"}
    bitrates = [
        variant(f"{ID}/{name}.mp4", known[name.partition("-")[0]]) for name in names if name.partition("-")[0] in known
    ]
    video = {**item(ID)["video"], "bitrateInfo": bitrates}
    for name, key in (("play", "playAddr"), ("download", "downloadAddr")):
        if name not in names:
            video.pop(key)
    return item(ID, video={**video, **changes})


@pytest.mark.parametrize(
    ("variants", "dead", "expected"),
    [
        (("play", "hevc", "download"), (), "play"),
        (("hevc", "download"), (), "hevc"),
        (("hevc",), (), "hevc"),
        (("vvc", "download"), (), "download"),
        (("play", "hevc", "download"), ("play",), "hevc"),
        (("play", "hevc", "download"), ("play", "hevc"), "download"),
    ],
    ids=["all", "no H.264 play", "HEVC only", "VVC is skipped", "play is dead", "only the watermarked one lives"],
)
def test_which_variant_is_taken(site: Site, variants: tuple[str, ...], dead: tuple[str, ...], expected: str) -> None:
    site.fake.page_of(ID, Reply(video_page(formats(*variants))))
    for name in variants:
        content = VIDEO + name.encode()
        site.fake.routes[f"/{ID}/{name}.mp4"] = Reply(b"gone", status=403) if name in dead else Reply(content)
    assert site.fetch().path.read_bytes() == VIDEO + expected.encode()
    assert not site.fake.requests("vvc.mp4")


def test_expired_links_are_made_fresh_once(site: Site) -> None:
    def fresh(seen: Any) -> Reply:
        return Reply(video_page(formats(playAddr=media(f"{ID}/play{seen.count}.mp4"))))

    site.fake.page_of(ID, fresh)
    site.fake.routes[f"/{ID}/play0.mp4"] = Reply(b"expired", status=403)
    site.fake.routes[f"/{ID}/play1.mp4"] = Reply(VIDEO)
    assert site.fetch().path.read_bytes() == VIDEO


def test_when_every_link_stays_dead_it_is_tried_later(site: Site) -> None:
    site.fake.page_of(ID, Reply(video_page(formats("play"))))
    site.fake.routes[f"/{ID}/play.mp4"] = Reply(b"no", status=403)
    with pytest.raises(TryLater) as caught:
        site.fetch()
    assert caught.value.signal == "blocked"
    assert len(site.fake.requests("play.mp4")) == 2


def test_a_file_beyond_the_limit_is_not_brought(tmp_path: Path) -> None:
    with opened(tmp_path, max_video_bytes=3000) as site:
        site.fake.video(ID, VIDEO)
        with pytest.raises(MediaInvalid) as caught:
            site.fetch()
    assert caught.value.details["limit"] == 3000


@contextmanager
def operators_proxy(fake: FakeTiktok) -> Iterator[list[bytes]]:
    """A proxy of the operator at `proxy.example`: it takes CONNECT and leads to the site; yields the heads it was sent."""
    heads: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(near: socket.socket) -> None:
        heads.append(near.recv(4096))
        near.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
        far = socket.create_connection(("127.0.0.1", fake.port))
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(source, target), daemon=True).start()

    def accept() -> None:
        with suppress(OSError):
            while True:
                serve(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        fake.elsewhere["proxy.example", 3128] = listener.getsockname()[1]
        yield heads


@pytest.mark.parametrize("use", ["second", "always"])
def test_the_operators_proxy_is_the_second_way_or_the_only_one(tmp_path: Path, use: str) -> None:
    ways = (MAIN_WAY, SECOND_WAY) if use == "second" else (MAIN_WAY,)
    with (
        opened(tmp_path, ways=ways, source_proxy="http://me:pass@proxy.example:3128", source_proxy_use=use) as site,
        operators_proxy(site.fake) as heads,
    ):
        # The first that asks seems to be in the wrong region.
        blocked = 1 if use == "second" else 0
        site.fake.page_of(ID, lambda seen: Reply(status_page(10204) if seen.count < blocked else video_page(item(ID))))
        assert site.look_up().author == "maya.studies"
        assert len(site.fake.requests(f"/video/{ID}")) == blocked + 1
        assert heads
        assert all(head.startswith(b"CONNECT www.tiktok.com:443") for head in heads)


COOKIES = "# Netscape HTTP Cookie File\n.tiktok.com\tTRUE\t/\tTRUE\t1999999999\tsid_tt\tcanary-value\n"


def test_cookies_go_to_the_platform_and_nowhere_else(tmp_path: Path) -> None:
    with opened(tmp_path, cookies=COOKIES) as site:
        site.fake.video(ID, VIDEO)
        site.look_up()
        assert "canary-value" in site.fake.requests(f"/video/{ID}")[0].headers["cookie"]
    assert all(
        "canary-value" not in path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()
    )


def test_a_hashtag_and_a_creator_are_listed(tmp_path: Path) -> None:
    with opened(tmp_path, source_app_info="7355728856979392262", source_device_id="7318517321748022790") as site:
        post = {
            "aweme_id": ID, "desc": "tips #studytips", "author": {"unique_id": "maya.studies", "uid": "1"},
            "statistics": {"play_count": 5}, "create_time": 1_790_000_000,
            "video": {"duration": 9000, "play_addr": {"url_list": [media(f"{ID}/play.mp4")]}},
        }  # fmt: skip
        site.fake.routes["/tag/studytips"] = Reply(b'<a href="snssdk1233://challenge/detail/42">')
        site.fake.routes["/aweme/v1/challenge/aweme/"] = Reply(
            json.dumps({"aweme_list": [post], "has_more": False}).encode(), kind="application/json"
        )
        (found,) = site.fetcher.search("Study tips!", limit=5, seconds=20)
        assert (found.tiktok_video_id, found.author, found.views) == (ID, "maya.studies", 5)
        user = {"webapp.user-detail": {"statusCode": 0, "userInfo": {"user": {"secUid": "MS4w"}, "itemList": [1]}}}
        site.fake.routes["/@maya.studies"] = Reply(page(user))
        site.fake.routes["/api/creator/item_list/"] = Reply(
            json.dumps({"itemList": [item(ID)], "hasMorePrevious": False}).encode(), kind="application/json"
        )
        (found,) = site.fetcher.of_creator("maya.studies", limit=5, seconds=20)
        assert (found.tiktok_video_id, found.views, found.duration_ms) == (ID, 120_000, 8000)


def test_without_app_info_a_hashtag_cannot_be_listed_and_says_so(site: Site) -> None:
    site.fake.routes["/tag/studytips"] = Reply(b'<a href="snssdk1233://challenge/detail/42">')
    with pytest.raises(TryLater):
        site.fetcher.search("study tips", limit=5, seconds=20)


@pytest.mark.parametrize(
    ("signal", "kind", "expected"),
    [
        (Signal(types=("TransportError",)), TryLater, "transient"),
        (Signal(types=("SSLError", "TransportError")), TryLater, "transient"),
        (Signal(types=("ProxyError", "TransportError"), egress_refused=True), TryLater, "refused"),
        (Signal(types=("HTTPError",), http_status=404), TryLater, "unsure"),
        (Signal(types=("HTTPError",), http_status=451), TryLater, "blocked"),
        (Signal(types=("NoSupportingHandlers",)), TryLater, "broken"),
        (Signal(types=("KeyError", "ExtractorError")), TryLater, "broken"),
        (Signal(), TryLater, "broken"),
        (Signal(platform_status=10216), InvalidTiktokId, "private"),
        (Signal(platform_status=0, at_login=True), TryLater, "login"),
    ],
)
def test_the_table_of_signals(signal: Signal, kind: type, expected: str) -> None:
    error = judge(signal)
    assert isinstance(error, kind)
    assert expected == (error.signal if isinstance(error, TryLater) else error.details["reason"])


def test_only_faults_of_the_whole_are_counted_by_the_breaker() -> None:
    assert {"transient", "login", "unsure", "paused"} & COUNTED_SIGNALS == set()


def test_no_transient_fault_is_ever_an_invalid_id() -> None:
    statuses: list[int | None] = [None, *range(400, 600)]
    kinds: list[tuple[str, ...]] = [(), ("TransportError",), ("ProxyError",), ("HTTPError",), ("ExtractorError",)]
    make: Callable[..., Signal] = Signal
    for status in statuses:
        for types in kinds:
            assert isinstance(judge(make(types=types, http_status=status)), TryLater)
