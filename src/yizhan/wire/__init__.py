"""An HTTP call described once, used from both ends. No I/O."""

from yizhan.model.secret import Secret
from yizhan.wire.api import Api
from yizhan.wire.codec import (
    FORM,
    JSON,
    JSON_OR_MULTIPART,
    MULTIPART,
    NO_BODY,
    Codec,
    JsonCodec,
    decode_javascript,
    decode_xml,
    encode_xml,
)
from yizhan.wire.endpoint import (
    Endpoint,
    Envelope,
    Header,
    Path,
    Query,
    Whole,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from yizhan.wire.envelope import as_struct, json_object, mismatch
from yizhan.wire.fault import Fault, FaultCode, FaultTable, undocumented
from yizhan.wire.http import (
    Base64,
    BodyTooLarge,
    FormPart,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    Piece,
    RawAnswer,
    WrongField,
)
from yizhan.wire.mask import declare_secret_shape, declare_secrets, is_secret, mask_text, mask_value
from yizhan.wire.outcome import SUCCESS
from yizhan.wire.words import explain

__all__ = [
    "FORM",
    "JSON",
    "JSON_OR_MULTIPART",
    "MULTIPART",
    "NO_BODY",
    "SUCCESS",
    "Api",
    "Base64",
    "BodyTooLarge",
    "Codec",
    "Endpoint",
    "Envelope",
    "Fault",
    "FaultCode",
    "FaultTable",
    "FormPart",
    "Header",
    "HttpRequest",
    "HttpResponse",
    "JsonCodec",
    "MalformedRequest",
    "Path",
    "Piece",
    "Query",
    "RawAnswer",
    "Secret",
    "Whole",
    "WrongField",
    "as_struct",
    "declare_secret_shape",
    "declare_secrets",
    "decode_javascript",
    "decode_request",
    "decode_response",
    "decode_xml",
    "encode_request",
    "encode_response",
    "encode_xml",
    "explain",
    "is_secret",
    "json_object",
    "mask_text",
    "mask_value",
    "mismatch",
    "undocumented",
]
