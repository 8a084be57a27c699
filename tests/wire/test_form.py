"""The model that a form names, found in its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.wire.form import LOOKED_AT_BYTES, PARTS_AT_MOST, FormModel, boundary_of

B = b"--b0"
PART = B + b'\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
FILE = (
    B
    + b'\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n%b\r\n'
)
MODEL = PART % (b"model", b"whisper-1")
END = B + b"--\r\n"


def looked(body: bytes, boundary: bytes = b"b0") -> FormModel:
    form = FormModel(boundary)
    form.feed(body)
    return form


def a_model_part(head: bytes) -> bytes:
    return B + b"\r\n" + head + b"\r\n\r\nwhisper-1\r\n" + END


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["multipart/form-data; boundary=b0"], b"b0"),
        (['Multipart/Form-Data ;charset=utf-8; Boundary="=_ 1:2/3"'], b"=_ 1:2/3"),
        (["multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk"], b"----WebKitFormBoundary7MA4YWxk"),
        (["multipart/form-data; boundary=" + "x" * 70], b"x" * 70),
        (["multipart/form-data; boundary=" + "x" * 71], None),
        (['multipart/form-data; boundary="a\\\\b"'], None),
        (['multipart/form-data; boundary="a "'], None),
        (['multipart/form-data; boundary="aé"'], None),
        (['multipart/form-data; boundary=""'], None),
        (["multipart/form-data; boundary"], None),
        (["multipart/form-data"], None),
        (["multipart/mixed; boundary=b0"], None),
        (["application/json"], None),
        (["multipart/form-data; boundary=b0"] * 2, None),
        ([], None),
    ],
)  # fmt: skip
def test_the_boundary_is_what_the_header_says(values, expected):
    """Quoted or not; one that no form may have is no boundary, and of two headers none counts."""
    assert expected == boundary_of(values)


@pytest.mark.parametrize(
    "body",
    [
        MODEL + FILE % b"x" + END,
        FILE % b"\r\n\r\n--b\r\n--b1\x00" + MODEL + END,
        PART % (b"language", b"") + PART % (b"models", b"no") + MODEL + END,
        MODEL + PART % (b"model", b"another"),
        MODEL.replace(B + b"\r\n", B + b" \t\r\n") + END,
        a_model_part(b"content-type: text/plain; charset=utf-8\r\nCONTENT-DISPOSITION:form-data; name=model"),
        a_model_part(b"Content-Disposition: form-data; x=\"; name=\\\"n\"; name=\"mo\\del\"\r\nContent-Transfer-Encoding: 8bit"),
    ],
)  # fmt: skip
def test_the_model_is_found_wherever_it_stands(body):
    """Whatever stands before it, however its name is written; of several the first one counts."""
    form = looked(body)
    start, end = form.facts.model_span or (0, 0)

    assert ("whisper-1", b"whisper-1", True) == (
        form.facts.requested_model,
        body[start:end],
        form.is_over,
    )


@pytest.mark.parametrize("value", [b"", b"none"])
def test_a_name_that_says_none_is_none(value):
    """As in a body in JSON; that it stood there is known."""
    form = looked(PART % (b"model", value) + END)

    assert (None, True) == (form.facts.requested_model, form.facts.model_span is not None)


@pytest.mark.parametrize(
    "body",
    [
        FILE % b"x" + END + MODEL,
        b"a preamble\r\n" + MODEL + END,
        B + b"1\r\n" + MODEL + END,
        PART % (b"model", b"\xff") + END,
        PART % (b"model", b"m" * 257) + END,
        PART % (b"x", b"1") * (PARTS_AT_MOST + 1) + MODEL,
        a_model_part(b'Content-Disposition: form-data; name="model"; filename="a"'),
        a_model_part(b"Content-Disposition: form-data; name=model; filename*=utf-8''a"),
        a_model_part(b'Content-Disposition: attachment; name="model"'),
        a_model_part(b'Content-Disposition: form-data; x="; name="model"'),
        a_model_part(b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64'),
        a_model_part(b'X: Content-Disposition: form-data; name="model"'),
        a_model_part(b"X: " + b"x" * 4096 + b'\r\nContent-Disposition: form-data; name="model"'),
        a_model_part(b'Content-Disposition: form-data; name="model'),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_read_names_no_model(body):
    """It is no error: the provider sees what came, and says what is wrong with it."""
    form = looked(body)

    assert (None, None, True) == (form.facts.requested_model, form.facts.model_span, form.is_over)


@pytest.mark.parametrize(
    "body", [b"", b"--", MODEL[:-2], MODEL, FILE % b"x", FILE % b"x" + MODEL[:30]]
)
def test_more_is_looked_at_until_the_field_is_whole(body):
    """A beginning that other bytes could follow is not the end of it."""
    assert (False, None) == (looked(body).is_over, looked(body).facts.requested_model)


def test_no_more_than_the_beginning_is_looked_at():
    """Nor held: a file may be of any length."""
    form = looked(FILE % bytes(LOOKED_AT_BYTES) + MODEL + END)
    form.feed(MODEL)

    assert (True, None, 0) == (form.is_over, form.facts.requested_model, len(form._seen))


@given(st.lists(st.integers(1, 200), max_size=40), st.sampled_from([b"x", b"\r\n--b", b"\r\n" * 9]))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts, content):
    """The same is found in pieces as in the whole."""
    body, form = FILE % content + MODEL + END, FormModel(b"b0")
    at = 0
    for size in [*cuts, len(body)]:
        form.feed(body[at : at + size])
        at += size

    assert looked(body).facts == form.facts
    assert "whisper-1" == form.facts.requested_model


@given(
    st.lists(
        st.sampled_from([B, b"\r\n", b"\r\n\r\n", b"--", MODEL, b'name="model"', b"content-disposition: form-data;", b"\x00", b";", b'"', b"\\"]),
        max_size=30,
    ).map(b"".join)
)  # fmt: skip
def test_whatever_comes_is_read_without_an_error(body):
    """And what is found is a piece of it."""
    form = looked(body)
    span = form.facts.model_span

    assert form.facts.requested_model in (None, body[slice(*span or (0, 0))].decode("latin-1"))


@pytest.mark.parametrize(
    ("count", "expected"), [(14, b"b0"), (15, b"b0"), (16, None), (9000, None)]
)
def test_parameters_are_read_in_a_bounded_number(count, expected):
    """A header of 60 KiB holds fifteen thousand, and a body's beginning as many in its parts."""
    assert expected == boundary_of(["multipart/form-data" + "; a=b" * count + "; boundary=b0"])
    head = b'Content-Disposition: form-data%b; name="model"' % (b"; a=b" * min(count, 700))
    assert (expected is not None) is (looked(a_model_part(head)).facts.requested_model is not None)
