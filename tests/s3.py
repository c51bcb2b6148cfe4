"""A real S3 server on this machine, for tests: moto's, asked over HTTP as Amazon's is."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "pictures"
SECRET = "a-secret-of-somebody"  # noqa: S105 - of no one


class S3:
    """A server with one bucket, whose address and credentials the environment tells.

    Attributes:
        address: Of the server.
    """

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.address = f"http://{host}:{port}"

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def begin(self, environment: pytest.MonkeyPatch) -> None:
        """Empty it, and have libraries find it."""
        self.call("reset")
        self.call("reset-auth", "Infinity")
        for name, value in {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            # Nobody else is asked for credentials where a test takes these away.
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }.items():
            environment.setenv(name, value)
        forget()
        self.client("s3").create_bucket(Bucket=BUCKET)

    def client(self, service: str) -> Any:
        """Return a client of the server."""
        return boto3.client(service)

    def call(self, what: str, body: str = "") -> None:
        """Have the server do what only a test asks for."""
        url = f"{self.address}/moto-api/{what}"
        asked = urllib.request.Request(url, body.encode(), {"Content-Type": "text/plain"}, method="POST")  # noqa: S310
        with urllib.request.urlopen(asked) as answer:  # noqa: S310
            answer.read()

    def put(self, name: str, content: bytes) -> None:
        """Put an object into the bucket."""
        self.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)

    def upload(self, folder: Path, name: str | None = None) -> str:
        """Put the files of a folder into the bucket; return its address there."""
        client, name = self.client("s3"), name or folder.name
        for file in folder.rglob("*"):
            if file.is_file():
                client.put_object(
                    Bucket=BUCKET, Key=f"{name}/{file.relative_to(folder).as_posix()}", Body=file.read_bytes()
                )
        return f"s3://{BUCKET}/{name}"

    def forbid(self, environment: pytest.MonkeyPatch, name: str) -> None:
        """Become a user who may read everything but one object."""
        iam, everything = self.client("iam"), {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        but = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/{name}"}
        iam.create_user(UserName="reader")
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything, but]})
        iam.put_user_policy(UserName="reader", PolicyName="reading", PolicyDocument=document)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        self.call("reset-auth", "0")
        forget()


def forget() -> None:
    """Have this process read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
