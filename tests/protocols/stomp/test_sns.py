"""The signatures of SNS: the vectors of SolarNetwork's own tests, and one of our own."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from custom_components.grid_telemetry.protocols.stomp import sns
from custom_components.grid_telemetry.protocols.stomp.sns import Authorization, SnsError

NO_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# SnsAuthorizationBuilderTests.build_minimal
V1_DATE = datetime(2021, 8, 13, 13, 55, 12, tzinfo=UTC)
V1_SIGNATURE = "80644221408b05b684a15d95e0bfbb5657d2a5deb6bb38b17365a7794df171ea"

# Computed with an independent implementation and bcrypt.
V3_DATE = datetime(2021, 8, 16, 2, 27, 39, tzinfo=UTC)
V3_HASH = "$2a$10$upVbEZHge9Iph1NN3L6ENODRqbv3/HbbP2VX8wtQFRKPgG6ru8BzW"
V3_SIGNATURE = "37dd29bbb8cae7a252bc5cf3dae754433572e9d352118673a68fe558058e5bc1"


def test_v1_the_minimal_request() -> None:
    headers = [("date", sns.http_date(V1_DATE))]
    canonical = sns.canonical_request("SEND", "/", headers)
    assert canonical == f"SEND\n/\ndate:Fri, 13 Aug 2021 13:55:12 GMT\ndate\n{NO_BODY}"
    assert sns.signature_data(V1_DATE, canonical) == (
        "SNS-HMAC-SHA256\n20210813T135512Z\n"
        "16d8e06f85043d8317992f2dfa824cfed8f6ae729bca1d5ec694e26a85bf4a41"
    )
    assert sns.signing_key("bar", V1_DATE).hex() == (
        "0980d9f3ae396f5068eec1cb861b562d4a7be54879530f52dcfee6bdba3ad0f3"
    )
    assert sns.sign("bar", V1_DATE, headers, path="/") == V1_SIGNATURE
    authorization = Authorization(
        credential="foo", signed_headers=("date",), signature=V1_SIGNATURE
    )
    assert str(authorization) == f"SNS Credential=foo,SignedHeaders=date,Signature={V1_SIGNATURE}"


def test_v2_the_canonical_request_with_many_headers() -> None:
    canonical = sns.canonical_request(
        "SPIFFY",
        "/path/here",
        [
            ("date", "Fri, 13 Aug 2021 13:55:12 GMT"),
            ("foobar", "12345"),
            ("spacey", "   a    b     c   "),
            ("deja-vu", "one"),
            ("deja-vu", "two"),
            ("SHOUTY", "be quiet"),
        ],
    )
    assert canonical.split("\n") == [
        "SPIFFY",
        "/path/here",
        "date:Fri, 13 Aug 2021 13:55:12 GMT",
        "deja-vu:one",
        "deja-vu:two",
        "foobar:12345",
        "shouty:be quiet",
        "spacey:a b c",
        "date;deja-vu;foobar;shouty;spacey",
        NO_BODY,
    ]


def test_v3_from_the_password_to_the_frame() -> None:
    password_hash = sns.hash_password("password123", "$2a$10$upVbEZHge9Iph1NN3L6ENO")
    assert password_hash == V3_HASH
    secret = sns.secret_of(password_hash)
    assert secret == "dffdbdaaaa67553447b566c15840a0f28ce7fa406ff8e14a0622d31d4576deb2"
    assert sns.signing_key(secret, V3_DATE).hex() == (
        "6d5dac33aaf825f9d54b814121b15d5df25a729c003388fd1f6820c98af2a72d"
    )
    assert sns.authenticate("me@example.com", password_hash, V3_DATE) == {
        "destination": "/setup/authenticate",
        "date": "Mon, 16 Aug 2021 02:27:39 GMT",
        "authorization": "SNS Credential=me@example.com,SignedHeaders=date,"
        f"Signature={V3_SIGNATURE}",
    }


def test_v4_the_salt_of_a_stored_hash() -> None:
    stored = "$2a$10$bmJyEhL/EUQWubIpssV.L.bWk354wJ1qCdnMbGW1DFwRiuo.nY0Me"
    assert sns.salt_of(stored) == "$2a$10$bmJyEhL/EUQWubIpssV.L."


@pytest.mark.parametrize("text", ["", "secret", "$1$10$bmJyEhL/EUQWubIpssV.L.bWk", "$2a$10$short"])
def test_what_is_no_hash_has_no_salt(text: str) -> None:
    with pytest.raises(ValueError, match="not a bcrypt hash"):
        sns.salt_of(text)


def test_a_new_hash_has_solarnodes_prefix_and_a_salt_of_its_own() -> None:
    first, second = sns.hash_password("a"), sns.hash_password("a")
    assert sns.salt_of(first) != sns.salt_of(second)
    assert first.startswith("$2a$")
    assert sns.hash_password("a", sns.salt_of(first)) == first


def test_a_password_may_have_so_many_bytes() -> None:
    sns.hash_password("ü" * (sns.MAX_PASSWORD_BYTES // 2))
    with pytest.raises(ValueError, match="72"):
        sns.hash_password("a" * (sns.MAX_PASSWORD_BYTES + 1))


@pytest.mark.parametrize(
    "text",
    [
        "SNS Credential=foo,SignedHeaders=date;destination,Signature=bar",
        "SNS Signature=bar,Credential=foo,SignedHeaders=date;destination",
        "SNS  Signature=bar, SignedHeaders=date;destination, Credential=foo",
    ],
)
def test_the_parts_of_an_authorization_come_in_any_order(text: str) -> None:
    assert Authorization.parse(text) == Authorization(
        credential="foo", signed_headers=("date", "destination"), signature="bar"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "scheme"),
        ("Basic Zm9vOmJhcg==", "scheme"),
        ("SNS", "Credential"),
        ("SNS SignedHeaders=date,Signature=bar", "Credential"),
        ("SNS Credential=foo,Signature=bar", "SignedHeaders"),
        ("SNS Credential=foo,SignedHeaders=date", "Signature"),
    ],
)
def test_what_is_no_authorization_is_told(text: str, why: str) -> None:
    with pytest.raises(SnsError, match=why):
        Authorization.parse(text)


def test_the_signature_does_not_show_by_accident() -> None:
    authorization = Authorization(credential="foo", signed_headers=("date",), signature="bar")
    assert "bar" not in repr(authorization)


def test_a_date_is_read_as_it_was_written() -> None:
    assert sns.parse_http_date(sns.http_date(V3_DATE)) == V3_DATE
    there = V3_DATE.astimezone(timezone(timedelta(hours=13)))
    assert sns.http_date(there) == "Mon, 16 Aug 2021 02:27:39 GMT"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "Mon, 99 Aug 2021 02:27:39 GMT",
        "Mon, 16 Aug 2021 02:27:39 -0000",
        "Fri, 31 Dec 9999 23:00:00 -2300",
        "Mon, 16 Aug 99999999999999999999 02:27:39 GMT",
    ],
)
def test_what_is_no_date_is_told(text: str) -> None:
    with pytest.raises(SnsError):
        sns.parse_http_date(text)


def verified(*headers: tuple[str, str], signed: tuple[str, ...] = ("date",)) -> bool:
    """Tell whether a frame passes that is signed over a date and `x:1`, or over the date alone."""
    date = ("date", sns.http_date(V3_DATE))
    secret = sns.secret_of(V3_HASH)
    over = [date, ("x", "1")] if "x" in signed else [date]
    authorization = Authorization(
        credential="me",
        signed_headers=signed,
        signature=sns.sign(secret, V3_DATE, over if "date" in signed else over[1:]),
    )
    return sns.verify(authorization, secret, V3_DATE, [date, *headers])


def test_a_signature_is_verified() -> None:
    assert verified()
    assert verified(("y", "not signed"))
    assert verified(("X", "1"), signed=("x", "date"))


def test_a_signature_over_other_values_is_refused() -> None:
    assert not verified(("x", "2"), signed=("date", "x"))


def test_a_signed_header_that_is_missing_is_refused() -> None:
    assert not verified(signed=("date", "x"))


def test_the_date_has_to_be_signed() -> None:
    assert not verified(("x", "1"), signed=("x",))
