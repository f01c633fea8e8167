"""Uploading as a browser and a bucket do it."""

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BOUNDARY = "a-boundary-that-no-file-holds"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def post(api, form, data, content_type="image/jpeg", **fields):
    """Posts a file as a browser would: the form's fields, then the file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in (form["fields"] | fields).items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="../a.php"\r\n'
    parts.append(f"{head}Content-Type: {content_type}\r\n\r\n".encode() + data + b"\r\n")
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return api.post("/v1/" + form["url"].split("/v1/")[1], raw=body, **{"Content-Type": FORM})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def service_account(folder: Path) -> str:
    """The file of a Google account that can sign, made up; nothing is sent anywhere with it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account", "project_id": "juniro", "private_key_id": "1", "private_key": pem,
        "client_email": "uploads@juniro.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    path = folder / "key.json"
    path.write_text(json.dumps(account))
    return str(path)
