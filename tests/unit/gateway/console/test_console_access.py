"""Who is let into the console, and who may act: by a token, by a proxy's word, on this machine in dev."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.requests import Request

from uniassist.errors import InvalidOperatorToken, MissingRole
from uniassist.gateway.console.access import ACT_TOKEN_MS, Access, Known, Who
from uniassist.gateway.console.outbox import OutboxRoutes
from uniassist.web.client_address import ClientAddresses
from uniassist.web.operations import declared, set_operation

ACT, READ = "act-token-0123456789", "read-token-0123456789"
NOW_MS = 1_796_000_000_000
PAUSE = next(operation for operation in declared(OutboxRoutes) if operation.path.endswith("/pause"))


def access(
    *, is_open: bool = False, user_header: str | None = None, actors: tuple[str, ...] = (), secret: str = "one"
) -> Access:
    known = [] if is_open else [Known("olga", "act", ACT), Known("rita", "read", READ)]
    proxies = ClientAddresses(("10.0.0.0/8",))
    return Access(
        known=known, user_header=user_header, actors=actors, is_open=is_open, proxies=proxies, secret=secret
    )


def asked(*, peer: str = "203.0.113.7", host: str = "assist.example", **headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/console/v0/pause",
        "query_string": b"",
        "server": ("127.0.0.1", 8787),
        "client": (peer, 40_000),
        "headers": [(b"host", host.encode()), *sent],
    }
    set_operation(scope, PAUSE)
    return Request(scope)


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_a_token_says_who_and_what_for() -> None:
    assert access().reader(asked(authorization=bearer(ACT))) == Who("olga", "act", "token")
    assert access().reader(asked(authorization=bearer(READ))) == Who("rita", "read", "token")


@pytest.mark.parametrize("shown", [{}, {"authorization": bearer("wrong")}, {"authorization": ACT}])
def test_nobody_else_is_let_in(shown: dict[str, str]) -> None:
    with pytest.raises(InvalidOperatorToken):
        access().reader(asked(peer="127.0.0.1", host="localhost:8787", **shown))


def test_an_act_needs_the_role_and_the_act_token_of_this_hour_or_the_last() -> None:
    own = access()
    who = own.reader(asked(authorization=bearer(ACT)))
    shown = own.act_token(who, NOW_MS)
    request = asked(authorization=bearer(ACT), x_console_act=shown)
    assert own.actor(request, NOW_MS) == own.actor(request, NOW_MS + ACT_TOKEN_MS) == who
    with pytest.raises(MissingRole) as old:
        own.actor(request, NOW_MS + 2 * ACT_TOKEN_MS)
    assert old.value.code == "STALE_ACT_TOKEN"
    with pytest.raises(MissingRole) as none:
        own.actor(asked(authorization=bearer(ACT)), NOW_MS)
    assert none.value.code == "STALE_ACT_TOKEN"


def test_an_act_token_is_one_person_s_of_one_system_and_gives_no_role() -> None:
    own = access()
    olga, rita = (own.reader(asked(authorization=bearer(token))) for token in (ACT, READ))
    of_rita = own.act_token(replace(rita, role="act"), NOW_MS)
    with pytest.raises(MissingRole):
        own.actor(asked(authorization=bearer(ACT), x_console_act=of_rita), NOW_MS)
    with pytest.raises(MissingRole) as reads:
        own.actor(asked(authorization=bearer(READ), x_console_act=of_rita), NOW_MS)
    assert reads.value.code == "MISSING_ROLE"
    assert access(secret="two").act_token(olga, NOW_MS) != own.act_token(olga, NOW_MS)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_page_of_another_origin_gets_nothing_whatever_it_shows(site: str) -> None:
    with pytest.raises(MissingRole) as refused:
        access().reader(asked(authorization=bearer(ACT), sec_fetch_site=site))
    assert refused.value.code == "CROSS_ORIGIN"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_pages_and_typed_addresses_pass(site: str) -> None:
    assert access().reader(asked(authorization=bearer(READ), sec_fetch_site=site)).name == "rita"


def test_a_proxy_is_believed_and_nobody_else_in_its_place() -> None:
    own = access(user_header="x-user", actors=("ada",))
    assert own.reader(asked(peer="10.1.2.3", x_user="ada")) == Who("ada", "act", "proxy")
    assert own.reader(asked(peer="10.1.2.3", x_user="bob")) == Who("bob", "read", "proxy")
    assert access(user_header="x-user", actors=("*",)).reader(asked(peer="10.1.2.3", x_user="bob")).role == "act"
    for wrong in (asked(x_user="ada"), asked(peer="10.1.2.3"), asked(peer="10.1.2.3", x_user=" ")):
        with pytest.raises(InvalidOperatorToken):
            own.reader(wrong)


def test_in_dev_this_machine_needs_nothing_under_its_own_name() -> None:
    own = access(is_open=True)
    for host in ("localhost:8787", "127.0.0.1:8787", "[::1]:8787"):
        assert own.reader(asked(peer="127.0.0.1", host=host)) == Who("dev", "act", "this machine")
    for peer, host in (("203.0.113.7", "localhost"), ("127.0.0.1", "evil.example"), ("127.0.0.1", "127.0.0.1.nip")):
        with pytest.raises(InvalidOperatorToken):
            own.reader(asked(peer=peer, host=host))
