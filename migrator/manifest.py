"""``connector.yaml``, typed: how to talk to the vendor, and what it can keep. Nothing declared, nothing written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import field_validator, model_validator

from migrator.documents import Document, Flag, did_you_mean
from migrator.mapping import Scalar
from migrator.seals import SCHEMES

WORTH_A_CALL = 2 / 3  # of the jobs that may be under way


class Cited(Document):
    """Where a figure comes from."""

    source: str = ""
    date: str = ""


class Auth(Document):
    """``basic``: user and password, ``bearer``: a token, which wins where its secret is given; ``{name}`` stands for an
    account setting or a secret. ``scheme``: the word that stands before the token. ``header``: where it is not
    ``Authorization``; no word stands before the token then."""

    basic: tuple[str, str] | None = None
    bearer: str | None = None
    scheme: str = "Bearer"
    header: str | None = None


class QuotaRule(Cited):
    """Calls a minute by plan, over the endpoints whose "METHOD /path" matches the regular expression ``matching``.

    ``window``: any 60 seconds (``sliding``), or the vendor counts anew each minute (``fixed``). ``costs``: a regular
    expression over "METHOD /path?query" to the credits such a call takes in place of one; the first that matches.
    """

    name: str
    matching: str = ""
    per_minute: dict[str, int]
    window: Literal["sliding", "fixed"] = "sliding"
    costs: dict[str, int] = {}


class Quota(Document):
    """The declared limits, and the headers by which the vendor tells its own (``remaining`` may be "700.0").

    ``used``: the credits this very call took. ``reset``: seconds until a fixed window begins anew.
    """

    default_plan: str
    rules: tuple[QuotaRule, ...]
    total: str | None = None
    total_of: Literal["account", "endpoint"] = "account"
    remaining: str | None = None
    used: str | None = None
    reset: str | None = None
    retry_after: str = "Retry-After"


class Paging(Document):
    """How a list goes on: ``none``; ``link`` header; ``cursor`` (incremental export: ``after_cursor``,
    ``end_of_stream``); ``time`` (incremental by ``start_time``, repeats its last second); ``next`` (``next_page``
    address in the body); ``page`` (numbered pages, to the first that is empty: a vendor may give shorter ones than
    asked for); ``token`` (the answer tells a word that asks for the next page); ``offset`` (so many records are passed
    over, to the first page that is empty).

    ``size`` records a page, asked for by ``size_param`` (empty: the vendor lets nobody choose). ``most``: pages after
    which the vendor stops; then ``window`` goes on. ``told``: the dotted path in the answer to the word of a ``token``,
    or to what says that a ``page`` (the number of pages) or an ``offset`` (true) is the last; ``param``: the parameter
    that takes the word, or the number.
    """

    style: Literal["none", "link", "cursor", "time", "next", "page", "token", "offset"] = "none"
    size: int = 100
    size_param: str = "per_page"
    most: int | None = None
    told: str | None = None
    param: str = "page"


class Stream(Document):
    """A list of native records.

    ``items``: the key (dotted) that holds the list (none: the answer is it). ``parent``: one list for each record of
    that stream (only those where ``parent_has`` holds), ``{parent}`` in the path is its id. ``view``: each listed
    record is read again by its own address. ``each``: further fixed variants of the query, read one after another.
    ``window``: the record's field and the query's parameter by which a list that stops at ``paging.most`` pages goes
    on.
    ``one``: the address of one record (``view``, where there is one), ``one_item`` the key it lies under.
    ``absent``: 404 means an empty list. ``count``: where the vendor itself counts them: path and key. ``lag_seconds``:
    the list leaves out what changed this recently.

    ``since``: the record's field and the query's parameter by which a later round brings only what has changed since.
    ``again``: the list has no stable order, so it is listed again until a whole pass shows nothing new. ``note``: a
    parameter of ``each`` and the key under which its value is noted in the record, which itself does not say.
    ``into``: its records are staged as that stream's. ``optional``: 403 means that there are none, which is reported.
    ``secrets``: paths (through lists) below which every text is a secret; what is kept of it is a fingerprint.
    ``sealed``: such paths of secrets that are kept sealed with the workspace's key. What the mapping reads into secret
    fields is so by itself.
    """

    path: str
    items: str | None = None
    id: str = "id"
    updated_at: str | None = "updated_at"
    params: dict[str, Scalar] = {}
    each: tuple[dict[str, Scalar], ...] = ({},)
    parent: str | None = None
    paging: Paging = Paging()
    view: str | None = None
    one: str | None = None
    one_item: str | None = None
    window: tuple[str, str] | None = None
    absent: Flag = False
    count: tuple[str, str] | None = None
    lag_seconds: int = 0
    wrap: str | None = None  # key to put a one-record answer under
    hook: str | None = None
    since: tuple[str, str] | None = None
    again: Flag = False
    note: tuple[str, str] | None = None
    into: str | None = None
    optional: Flag = False
    secrets: tuple[str, ...] = ()
    sealed: tuple[str, ...] = ()


class Call(Document):
    """One writing call: ``{name}`` in the path is a resolved reference of the record, ``{id}`` the record itself,
    ``{ids}`` those of a batch.

    ``many``: records one call may carry, as a list. ``job``: the vendor only promises, and ``jobs`` tells how it went.
    ``wrap``: the key the payload goes under. ``body``: a named function of ``hooks.py`` that shapes it first;
    ``prepare``: one that needs to look something up for that, of (client, payload).
    ``id``/``key``: where the answer holds the new record's id and its own name; ``answer``: a named function of
    ``hooks.py`` that finds the written record in the answer. ``headers``: sent along, filled like the path.
    """

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str
    many: int = 1
    job: Flag = False
    wrap: str | None = None
    id: str = "id"
    key: str | None = None
    body: str | None = None
    prepare: str | None = None
    answer: str | None = None
    headers: dict[str, str] = {}


class Jobs(Document):
    """How the vendor tells what became of calls that it only promised to carry out.

    ``id``: where the promise holds the job's id. ``path`` (with ``{ids}``) asks for up to ``many`` at once, ``all`` for
    those of the account; ``items`` is the key of either list. A job with a ``state`` in ``done`` has ``results``, one a
    record, in order or by their ``index``; any other state not in ``open`` has failed as a whole. ``most``: jobs in
    flight. ``seconds``: what one takes, until it is known better.
    """

    id: str
    path: str
    all: str
    items: str
    many: int = 100
    state: str = "status"
    open: tuple[str, ...]
    done: tuple[str, ...]
    results: str = "results"
    most: int
    seconds: float = 10.0

    @property
    def enough(self) -> int:
        """Return how many jobs should be thought finished before it is worth a call to ask."""
        return math.ceil(self.most * WORTH_A_CALL)


class Find(Document):
    """How a write whose answer never came is looked up: the ``stream`` is listed with ``params`` and compared by
    ``match`` (native path at the vendor to native path in the payload). ``{sent_at}`` and the references may stand in
    params.

    ``{sent_second}`` is the same as a Unix time. ``unless``: native values that tell a record gone again.
    ``path``: the stream's address for this record alone. ``key_in``: compare migrator's own key, held in this native
    map. ``as_html``: compare as HTML means. ``lag_seconds``: a list that shows new records only after this long.
    """

    stream: str | None = None
    params: dict[str, Scalar] = {}
    match: dict[str, str] = {}
    unless: dict[str, tuple[Scalar, ...]] = {}
    key_in: str | None = None
    path: str | None = None
    as_html: Flag = False
    lag_seconds: int = 0


class Fits(Document):
    """A reference is written only where the field ``theirs`` of the record it names is what our own field ``own`` is
    (or its ``default``), which ``counts_as`` another word there."""

    theirs: str
    own: str
    counts_as: dict[str, str] = {}


class Keep(Document):
    """What the vendor does with one canonical field.

    ``write``: ``always``, ``create`` (only then) or ``never``. ``max``: characters, or items of a list; ``max_bytes``:
    bytes of UTF-8, cut between characters; ``max_item``: characters of each item. ``least``/``most``: of a number,
    which is raised or lowered. ``type_max``: characters of custom values, by field type. ``one_of``: native values it
    takes. ``default``: what it fills in when there is none;
    ``fills``: it may fill in something of its own; ``moves``: it changes the value by itself later on.
    ``only_with``: written only where other fields have these values. ``follows``: not written, but read back as this
    reference's field; where it is written too, this is what stands in for nothing. ``kinds``: a reference is written to
    records of these kinds only. ``bare``: a text without the line of its ``preface``. ``unique``: a value in a list
    belongs to one record only. ``trim``/``lower``: the vendor does so itself; ``replaces``: characters it cannot take,
    and what stands in their place; ``last_part``: of a path, only what stands after the last slash; ``one_word``: of a
    text (or each item) one word in lower case; ``sorted``: a list comes back in the order of its letters, each once;
    ``adds``: the vendor adds the options chosen in this map. ``capital``: what is one word in small letters only, or
    in capitals only, comes back with a capital first letter. ``pictures: link``: the vendor takes pictures that lie
    elsewhere out of HTML, so a link to each is written in its place. ``member_of``: [kind, this, other]: a
    reference is written only where a record of that kind has it as ``this`` and our own ``other`` as ``other``.
    ``same_as``: a reference is written only where that field of the record another one names is the same.
    ``fits``: a reference is written only where that record agrees with another field of ours.
    ``bound``: the record is written only with the one that this reference names, whether or not the name is written.
    ``matches``: a text is written only where the whole of it is like this. ``schemes``: a secret is written only where
    it is of one of these (seals.SCHEMES). ``whole_days``: of a moment only its day (UTC), from its beginning.
    ``seen_by``: what people changed of these bytes is seen by these fields; where the source tells none of them, by
    what a reading told, or else a change is left to a person. ``loss``/``because``: how a difference is named in the
    report, and why.
    """

    write: Literal["always", "create", "never"] = "always"
    max: int | None = None
    max_bytes: int | None = None
    max_item: int | None = None
    least: int | None = None
    most: int | None = None
    one_of: tuple[Scalar, ...] = ()
    default: Scalar | None = None
    default_field: str | None = None
    fills: Flag = False
    moves: Flag = False
    follows: tuple[str, str] | None = None
    kinds: tuple[str, ...] = ()
    same_as: tuple[str, str] | None = None
    fits: Fits | None = None
    bound: Flag = False
    matches: str = ""
    schemes: tuple[str, ...] = ()
    whole_days: Flag = False
    seen_by: tuple[str, ...] = ()
    bare: Flag = False
    type_max: dict[str, int] = {}
    only_with: dict[str, tuple[str, ...]] = {}
    trim: Flag = False
    lower: Flag = False
    replaces: dict[str, str] = {}
    last_part: Flag = False
    one_word: Flag = False
    sorted: Flag = False
    adds: str | None = None
    unique: Flag = False
    capital: Flag = False
    pictures: Literal["keep", "link"] = "keep"
    member_of: tuple[str, str, str] | None = None
    loss: Literal["dropped", "truncated", "merged", "reset", "unresolved", "untranslated"] | None = None
    because: str = ""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"write": value} if isinstance(value, str) else value

    @field_validator("schemes")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one not in SCHEMES:
                raise ValueError(f"there is no scheme '{one}'{did_you_mean(one, SCHEMES)}: {', '.join(SCHEMES)}")
        return value

    @property
    def looks_inside(self) -> list[str]:
        """Return what it declares that would have to read or change a text, and cannot of one that is sealed."""
        inert = {"write", "schemes", "only_with", "loss", "because"}
        return sorted(name for name in self.model_fields_set - inert if getattr(self, name))


class Embed(Document):
    """Records of another kind that travel inside this one's call.

    ``merge``: their payload becomes part of ours. ``items``: their payloads, as a list at ``path``, at most ``most``;
    their names come back with nobody: they are told by their place. ``files``: their bytes go along as multipart
    ``path``, and ``answer`` is where the ids come back, in order. ``uploads``: their bytes are handed in before, to the
    address ``upload``, and the word at ``answer`` stands for each in a list at ``path``. ``list``: the reference
    ``value`` of each, as a list at ``path``. ``filler``: what stands at ``path`` where there is no such record.
    """

    how: Literal["merge", "items", "files", "uploads", "list"]
    variant: str | None = None
    path: str | None = None
    most: int | None = None
    value: str | None = None
    upload: str | None = None
    answer: str | None = None
    filler: dict[str, Any] = {}


class MaxTotal(Document):
    """Embedded bytes together: at most ``bytes`` for all that hang on one record of the kind ``per``."""

    bytes: int
    per: str


class Write(Document):
    """What the vendor keeps of one variant of a kind.

    ``create`` (with ``find``): written by a call of its own; ``update``/``delete``: how it is changed and taken away
    again; ``embedded``: only inside its owner; ``match_only``: only found, and created where a person says so (a seat
    costs money); ``skip``/``manual``/``left``: not written, with the reason: it arrives by itself, a person does it, it
    has no place there. ``manual`` beside ``create``: for what ``takes`` leaves out. ``match_among``: kinds
    whose records at the destination are the same too (an employee who asks and has a seat). ``key_field``: the set-up
    custom field that holds migrator's own key. ``owner_with``: written only where its owner's fields have these values.
    ``takes``: written only where its own fields have these values (regular expressions). ``needs``: the secret without
    which it is left to a person. ``named``: no call makes it, it is there as soon as a written record names it; what
    none names is left behind, for this reason; ``unnamed``: so is what a call makes and nobody could read back where no
    written record names it. ``ends``: a reference after which the record it names takes no other of
    this kind (a merged ticket has no links of its own): those are left to a person. ``tried``: a plan asks the
    destination whether it would take the record (its ``complaint``), and leaves what it would not to a person.
    ``activate``: how a record that was written switched off is switched on. ``completes``: a second call after
    ``create``, which may be made again without harm, for what the first does not take; its ``body`` picks that.
    """

    kind: str
    variant: str | None = None
    create: Call | None = None
    update: Call | None = None
    delete: Call | None = None
    activate: Call | None = None
    completes: Call | None = None
    find: Find | None = None
    embedded: Flag = False
    match_only: Flag = False
    match_among: tuple[str, ...] = ()
    skip: str | None = None
    manual: str | None = None
    left: str | None = None
    key_field: str | None = None
    owner_with: dict[str, tuple[str, ...]] = {}
    takes: dict[str, tuple[str, ...]] = {}
    needs: str | None = None
    named: str | None = None
    unnamed: str | None = None
    ends: str | None = None
    tried: Flag = False
    fields: dict[str, Keep] = {}
    embeds: dict[str, Embed] = {}
    constants: dict[str, Scalar] = {}
    max_total: MaxTotal | None = None

    @property
    def makes(self) -> bool:
        """Say whether the vendor is given whatever record of the kind comes, and not some of its own form only."""
        return self.create is not None and not self.manual


class Setup(Document):
    """A record the connector itself needs at the vendor before it can load, planned and reported like every other."""

    kind: str
    id: str
    fields: dict[str, Scalar | list[str]]


class Channel(Document):
    """A further way to write, which keeps more than the API does: an import file, direct access to the database.

    Chosen in ``migration.yaml``. Its ``writes`` stand in for those of the same kind and variant, and what the channel
    needs to be told is declared here. ``doc``: what it keeps, and what it asks of the person who opens it. ``setup``:
    what it needs at the vendor besides.
    """

    doc: str
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    writes: tuple[Write, ...] = ()
    setup: tuple[Setup, ...] = ()


class Manifest(Document):
    """``connector.yaml``."""

    vendor: str
    title: str
    canonical: str = "help_desk"
    base_url: str
    settings: dict[str, str] = {}  # account setting to what it is
    secrets: dict[str, str] = {}  # secret to what it is
    auth: Auth
    headers: dict[str, str] = {}  # sent with every call: which version of its API a vendor is to speak
    check: Stream
    rights: dict[str, str] = {}  # "METHOD /path" tried by `check` to what it is needed for
    quota: Quota
    jobs: Jobs | None = None
    streams: dict[str, Stream]
    writes: tuple[Write, ...] = ()
    channels: dict[str, Channel] = {}
    setup: tuple[Setup, ...] = ()
    unread: dict[str, str] = {}  # what the vendor has and this connector does not read, with the reason

    def through(self, channels: Sequence[str]) -> Manifest:
        """Return the manifest with what the named channels keep and need; a later channel wins."""
        settings, secrets, writes = dict(self.settings), dict(self.secrets), list(self.writes)
        setup = list(self.setup)
        for chosen in channels:
            channel = self.channels[chosen]
            settings, secrets = {**settings, **channel.settings}, {**secrets, **channel.secrets}
            replaced = {(write.kind, write.variant) for write in channel.writes}
            writes = [write for write in writes if (write.kind, write.variant) not in replaced] + list(channel.writes)
            setup += channel.setup
        whole = {"settings": settings, "secrets": secrets, "writes": tuple(writes), "setup": tuple(setup)}
        return self.model_copy(update=whole)

    def write(self, kind: str, variant: str | None = None) -> Write | None:
        """Return what is declared for the kind (and variant)."""
        for write in self.writes:
            if write.kind == kind and (write.variant is None or variant is None or write.variant == variant):
                return write
        return None
