"""Where pages land: dlt's pipeline into the stage, which replaces rows by their id. The only module that imports dlt.

Importing it costs half a second, so `extract` does so when it begins. What dlt is told stands here: it looks neither at
the environment nor for files of settings, which took a third of a small extract's time and let a stray file steer it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # read while dlt is imported

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, LoadJob
from dlt.common.destination.configuration import ParquetFormatConfiguration
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema import Schema
from dlt.destinations import duckdb
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob

from migrator.snapshot import Resource, arrow
from migrator.stage import Stage
from migrator.workspace import Workspace

SETTINGS = {"dlthub_telemetry": False, "log_level": "CRITICAL"}
HINTS: dict[str, Any] = {
    "columns": {
        "id": {"data_type": "text", "nullable": False, "primary_key": True},
        "parent": {"data_type": "text"},
        "updated_at": {"data_type": "text"},
        "body": {"data_type": "json"},
    },
    "primary_key": "id",
    "write_disposition": "merge",
    "schema_contract": {"tables": "evolve", "columns": "freeze", "data_type": "freeze"},
}


class Durable:
    """Lands pages by a pipeline of dlt's: rows and cursor are durable together; a death costs what was under way."""

    def __init__(self, made: dlt.Pipeline) -> None:
        self.pipeline = made

    def resume(self) -> None:
        """Finish the packages that an earlier run left under way."""
        self.pipeline.sync_destination()
        if self.pipeline.has_pending_data:
            self.pipeline.normalize()
            self.pipeline.load()

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what is kept of each stream."""
        found: dict[str, dict[str, Any]] = {}
        for source in self.pipeline.state.get("sources", {}).values():
            found.update(source.get("resources", {}))
        return found

    def state(self, stream: str) -> dict[str, Any]:
        """Return what is kept of the stream being read, durable with the pages yielded before it was changed."""
        return dlt.current.resource_state(stream)

    def bring(self, resources: Sequence[Resource]) -> None:
        """Read the pages into a package on the disk."""
        self.pipeline.extract([_resource(one) for one in resources], loader_file_format="parquet")
        self.pipeline.normalize()

    def settle(self) -> None:
        """Load the package."""
        self.pipeline.load()


@contextmanager
def durable(workspace: Workspace, stage: Stage, dataset: str) -> Iterator[Durable]:
    """Yield where a dataset's pages land: packages lie in the workspace, and are loaded over a connection of ``stage``.

    The connection ends with the ``with``: dlt would keep it until something else is loaded, and the file with it.
    """
    os.environ["DLT_DATA_DIR"] = str(workspace.folder / ".dlt")
    context = Container()[PluggableRunContext]
    if not any(isinstance(each, _Settings) for each in context.providers.providers):
        context.providers = ConfigProvidersContainer([_Settings()])
        context.initialize_runtime()
    with closing(stage.connection.cursor()) as connection:
        made = dlt.pipeline(
            pipeline_name=dataset,
            pipelines_dir=str(workspace.folder / ".dlt"),
            destination=_InPlace(DuckDbCredentials(connection)),
            dataset_name=dataset,
        )
        try:
            yield Durable(made)
        finally:
            if made.is_active:
                made.deactivate()


def _resource(one: Resource) -> Any:
    """Return dlt's resource of a stream, whose pages are Arrow tables of (id, parent, updated_at, body)."""

    def pages() -> Iterator[Any]:
        for table, records in one.pages():
            rows = arrow(records)
            if table != one.table:
                rows = dlt.mark.with_hints(rows, dlt.mark.make_hints(table_name=table, **HINTS), True)
            yield rows

    return dlt.resource(pages, name=one.stream, table_name=one.table, **HINTS)


class _Settings(ConfigProvider):
    """All that dlt's configuration may ask for, whatever its section; the rest stays as dlt has it."""

    name, supports_secrets, supports_sections = "migrator", True, False

    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any, str]:
        """Return the value and the name it is known by."""
        return SETTINGS.get(key), key


class _Replacement(DuckDbCopyJob):
    """Puts a file's rows in the place of those with their ids, at once or not at all.

    A file that is loaded again after a crash leaves the same rows. Of an id that comes twice the latest by date of
    change stays, and of equals the later one: a record that changes while its list is read is handed over twice.
    """

    def run(self) -> None:
        """Load the file in one transaction."""
        client, file = self._job_client.sql_client, self._file_path
        table = client.make_qualified_table_name(self.load_table_name)
        rows = "SELECT * FROM read_parquet(%s)"
        [(twice,)] = client.execute_sql("SELECT count(*) <> count(DISTINCT id) FROM read_parquet(%s)", file) or ()
        if twice:
            rows = (
                "SELECT * EXCLUDE (file_row_number) FROM read_parquet(%s, file_row_number = true) QUALIFY row_number() "
                "OVER (PARTITION BY id ORDER BY updated_at DESC NULLS LAST, file_row_number DESC) = 1"
            )
        with client.begin_transaction():
            client.execute_sql(f"DELETE FROM {table} WHERE id IN (SELECT id FROM read_parquet(%s))", file)
            client.execute_sql(f"INSERT INTO {table} BY NAME {rows}", file)


class _Client(DuckDbClient):
    """dlt's client of DuckDB, merging in one transaction a file instead of through a second table, which costs twice
    the time (decision 0021)."""

    def __init__(
        self, schema: Schema, config: DuckDbClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client._global_config = {}  # the stage has its own settings

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Return the job that loads a file."""
        if table.get("write_disposition") == "merge" and file_path.endswith(".parquet"):
            return _Replacement(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        """Tell that no second table is needed."""
        return False

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[FollowupJobRequest]:
        return []


class _InPlace(duckdb):
    """dlt's destination with that client. Files of one table come after each other; they live for seconds, unpacked."""

    @functools.cached_property
    def _known(self) -> DuckDbClientConfiguration:
        """What dlt would otherwise work out again each of the forty times that it asks for capabilities in a run."""
        given = self.spec(credentials=self.config_params["credentials"].copy())
        return self.configuration(given, accept_partial=True)

    def capabilities(
        self, config: DuckDbClientConfiguration | None = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """Return what the destination can do."""
        return super().capabilities(config or self._known, naming)

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.loader_parallelism_strategy = "table-sequential"
        capabilities.parquet_format = ParquetFormatConfiguration(compression="none")
        return capabilities

    @property
    def client_class(self) -> type[DuckDbClient]:
        """Return the client's class."""
        return _Client
