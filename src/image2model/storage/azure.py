"""Azure Blob Storage. Credentials: `AZURE_STORAGE_*`, a service principal, or the identity of the machine.

obstore reads most variables itself. Two kinds it does not: the connection string, and the names of Azure's
command line. Both are read here.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore

from image2model.errors import ConfigurationError
from image2model.storage.remote import RETRIES, bucket_of, client_options, origin_of

if TYPE_CHECKING:
    from obstore.store import AzureConfig

_ADVICE: Final = (
    "write az://container/prefix; the account and its credentials come from AZURE_STORAGE_CONNECTION_STRING, "
    "or from AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY"
)
_SUFFIX: Final = "core.windows.net"
# Microsoft publishes this account of the emulator; it opens nothing else:
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_EMULATOR: Final = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}


def open_container(url: str, environment: Mapping[str, str]) -> AzureStore:
    """The store that `az://container/prefix` names. Raises ConfigurationError."""
    container = bucket_of(url, _ADVICE)
    if not container.has_plain_prefix:
        # obstore signs the percent-encoded name of a blob, and Azure verifies the name itself.
        raise ConfigurationError(
            ["I2M_STORAGE_URL: the prefix of az:// may have letters, digits and . _ - / only"]
        )
    config = _config(environment)
    try:
        return AzureStore(
            container.name,
            prefix=container.prefix,
            config=config,
            client_options=client_options(config.get("endpoint", "")),
            retry_config=RETRIES,
        )
    except BaseError as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError([f"I2M_STORAGE_URL: {_ADVICE} ({reason})"]) from error


def origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of its signed URLs. Raises ConfigurationError."""
    config = _config(environment)
    account = config.get("account_name") or environment.get("AZURE_STORAGE_ACCOUNT_NAME") or "*"
    return origin_of(config.get("endpoint", "")) or (f"https://{account}.blob.{_SUFFIX}",)


def _config(environment: Mapping[str, str]) -> "AzureConfig":
    """What obstore does not read from the environment itself, and the endpoint."""
    config: AzureConfig = {}
    given = _connection(environment)
    account = given.get("AccountName") or environment.get("AZURE_STORAGE_ACCOUNT")
    key = given.get("AccountKey") or environment.get("AZURE_STORAGE_KEY")
    sas = given.get("SharedAccessSignature")
    endpoint = given.get("BlobEndpoint") or _endpoint(environment)
    if not endpoint and "EndpointSuffix" in given and account:
        endpoint = f"https://{account}.blob.{given['EndpointSuffix']}"
    if not account and "BlobEndpoint" in given:
        account = (urlsplit(given["BlobEndpoint"]).hostname or "").partition(".")[0]
    if account:
        config["account_name"] = account
    if key:
        config["account_key"] = key
    if sas:
        config["sas_key"] = sas.removeprefix("?")
    if endpoint:
        config["endpoint"] = endpoint.rstrip("/")
    return config


def _connection(environment: Mapping[str, str]) -> dict[str, str]:
    """The parts of the connection string; empty without one. Raises ConfigurationError."""
    text = environment.get("AZURE_STORAGE_CONNECTION_STRING", "").strip()
    parts = dict(part.strip().partition("=")[::2] for part in text.split(";") if part.strip())
    if parts.get("UseDevelopmentStorage", "").lower() == "true":
        return _EMULATOR
    if parts and not ("AccountName" in parts or "BlobEndpoint" in parts):
        raise ConfigurationError(
            ["AZURE_STORAGE_CONNECTION_STRING has neither AccountName nor BlobEndpoint: copy all of it"]
        )
    return parts


def _endpoint(environment: Mapping[str, str]) -> str:
    return environment.get("AZURE_STORAGE_ENDPOINT") or environment.get("AZURE_ENDPOINT") or ""
