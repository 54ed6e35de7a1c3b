"""A real SeaweedFS with its S3 gateway on loopback, with keys that it verifies."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import boto3
from botocore.config import Config

from tests.support.heavy import python_program
from tests.support.ports import free_ports
from tests.support.wait import until_listening

ACCESS_KEY: Final = "image2model"
SECRET_KEY: Final = "not-a-secret-of-anybody"
_IDENTITIES: Final = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


@contextmanager
def seaweedfs() -> Iterator[str]:
    """The endpoint URL of an S3 without buckets; gone with all its data at the end."""
    names = ("port", "port.grpc")
    parts = ("master", "volume", "filer", "s3")
    ports = dict(zip([f"-{part}.{name}" for part in parts for name in names], free_ports(8), strict=True))
    with tempfile.TemporaryDirectory(prefix="i2m-seaweed-") as folder:
        identities = Path(folder, "identities.json")
        identities.write_text(json.dumps(_IDENTITIES))
        command = [
            str(python_program("weed")), "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={identities}", "-volume.max=2000",
            "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.port.iceberg=0",
            "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            *(f"{name}={port}" for name, port in ports.items()),
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until_listening(ports["-s3.port"], process)
            yield f"http://127.0.0.1:{ports['-s3.port']}"
        finally:
            process.terminate()
            process.wait(30)


def environment(endpoint: str) -> dict[str, str]:
    """The variables for a client of it."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }


def make_bucket(endpoint: str, name: str) -> None:
    """An empty bucket."""
    config = Config(retries={"total_max_attempts": 10, "mode": "standard"})
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=config,
    )
    client.create_bucket(Bucket=name)
