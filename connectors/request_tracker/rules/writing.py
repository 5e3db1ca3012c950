"""Our rules written as scrips for ``rt-setup-database --action insert``; stock names for a scrip of its own."""

from __future__ import annotations

import json
import shlex
from functools import partial
from typing import Any

from migrator.rules.conditions import All, Changed, Condition, Event, Is, Leaf, Lit, Opaque, leaves
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import field_name, remembered
from migrator.rules.normal_forms import assume, created_only
from migrator.rules.notebook import Notebook
from migrator.rules.placeholders import escaped, translated
from migrator.rules.rule import Action, Comment, Hook, Mail, Rule, SetField, SetTags, Unread, Verb, View
from migrator.rules.texts import as_text, says
from migrator.rules.verdicts import Translation, Verdict

from . import agreements, names, perl, searches

Native = dict[str, Any]
CLICK = "Admin, Queues or Global, Scrips"
WHY = {
    "timed": "time is watched by the system's cron, outside of Request Tracker: look over the line, add it there",
    "sla": "levels of service are in the configuration (%ServiceAgreements): look over the file, put it there",
    "macro": "there are no macros; an article or a modify-actions extension comes near",
}
NAMES = {shape: name for name, shape in names.CHANGES.items()}
"""(path, status changed to) to the stock condition."""


def rule(source: Rule) -> Translation:
    """Return the rule as scrips; a scrip of Request Tracker's own comes back as it was."""
    own = source.vendor == "request_tracker"
    book = Notebook(source, "request_tracker", click=CLICK)
    if own:
        return book.done(_own(book))
    if source.kind == "view":
        return book.done(_search(book))
    if source.kind == "macro" and says(book):
        return as_text(book, "article", "an article", partial(_article, book))
    if source.kind == "sla":
        return book.done(agreements.levels(book, WHY["sla"]))
    if source.kind != "trigger":
        book.add("rule", source.name, "untranslatable", WHY[source.kind])
        return book.done(*([_crontab(book)] if source.kind == "timed" else []))
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.description:
        book.add("rule", f"the description “{source.description}”", "equivalent", "a scrip has a name only")
    base: Native = {"Description": source.name, "ScripCondition": "User Defined", "Stage": "TransactionBatch"}
    base["Disabled"] = 0 if source.active else 1
    if source.position is not None:
        base["SortOrder"] = source.position
    base["CustomIsApplicableCode"] = applicable(book, source.when)
    made = Actions(book, base).scrips()
    return book.done(*({**scrip, **_rests_on(book)} for scrip in made), *_filling(book))


def _article(book: Notebook, at: int, action: Comment) -> str:
    """Return a macro's text as an article's, which fills in nothing: it says in brackets what the agent puts there."""

    def told(meaning: str) -> str:
        words = meaning.rpartition(":")[2].replace(".", " ").replace("_", " ")
        book.add(f"do {at + 1}", words, "approximated", "an article fills in nothing: the agent writes it")
        return f"[{words}]"

    return translated(book, at, action.body, told, said=str if action.body.html else escaped)


def _search(book: Notebook) -> Native:
    """Return a list of tickets as a saved search that everybody may look at."""
    source = book.rule
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.description:
        book.add("rule", f"the description “{source.description}”", "equivalent", "a search has a name only")
    for one in source.audience:
        book.add("rule", f"for {one.kind} {one.id}", "approximated", "everybody who may see saved searches sees it")
    if source.position is not None:
        book.add("rule", f"position {source.position}", "equivalent", "saved searches are listed by their names")
    asked = {"Name": source.name, "Scope": "everything", "Query": searches.query(book, source.when)}
    return {**asked, **searches.look(book, source.view or View()), **_rests_on(book)}


def _crontab(book: Notebook) -> Native:
    """Return the draft of a rule by the clock: a line of crontab for each action that has a module of its own."""
    search = shlex.join(["--search", "RT::Search::FromSQL", "--search-arg", searches.query(book, book.rule.when)])
    lines = []
    for at, action in enumerate(book.rule.do):
        ours = str(action.path) if isinstance(action, SetField) else ""
        module = {"ticket.status": "SetStatus", "ticket.priority": "SetPriority"}.get(ours)
        held = perl.value(action.path, action.value) if isinstance(action, SetField) and module else None
        if held is None:
            book.action(at, "untranslatable", "no action of rt-crontool does this by itself: write a module")
            continue
        book.action(at, "equivalent", "by rt-crontool, every hour")
        does = shlex.join(["--action", f"RT::Action::{module}", "--action-arg", held[1:-1]])
        lines.append(f"0 * * * * rt-crontool {search} {does}".replace("%", "\\%"))  # cron ends a line at a bare %
    return {"Name": book.rule.name, "Crontab": lines}


def _rests_on(book: Notebook) -> Native:
    """Return what a scrip needs at the destination: fields that are made with it, statuses that somebody adds."""
    asked = [name for kind, name in book.needs if kind == "custom field" and name in names.HELPERS]
    statuses = [f"<status:{name}>" for kind, name in book.needs if kind == "status"]
    return {
        **({"Helpers": {name: names.HELPERS[name] for name in sorted(asked)}} if asked else {}),
        **({"Statuses": sorted(statuses)} if statuses else {}),
    }


def _filling(book: Notebook) -> list[Native]:
    """Return the scrips that fill the fields a rule asks for."""
    filling = [need.native for need in book.needs.values() if need.kind == "scrip" and need.native]
    return [{**native, "Helpers": {names.CAME_BY: names.HELPERS[names.CAME_BY]}} for native in filling]


def applicable(book: Notebook, when: Condition) -> str:
    """Return the Perl of a condition, with a verdict noted on each of its leaves."""
    new = created_only(when)
    for leaf in leaves(when) if new else ():
        if _privacy(leaf) is not None:
            book.leaf(leaf, "equivalent", "a new ticket's first message is public there")
    tree = _adapted(book, assume(when, _privacy if new else lambda leaf: None))
    code = perl.condition(tree)
    return f"{perl.PRELUDE}return {code if code is not None else '0'} ? 1 : 0;\n"


def _privacy(leaf: Leaf) -> bool | None:
    """Say what a new ticket answers when it is asked whether it is public."""
    if isinstance(leaf, Is) and str(leaf.path) == "ticket.privacy":
        return (Lit(value="public") in leaf.values) is not leaf.negated
    return None


def _adapted(book: Notebook, node: Condition) -> Condition:
    if isinstance(node, All | AnyOf):
        return type(node)(of=tuple(_adapted(book, part) for part in node.of))
    leaf: Leaf = node  # type: ignore[assignment]
    made, verdict, note = _leaf(book, leaf)
    if verdict != "untranslatable" and perl.leaf(made) is None:
        verdict, note = "untranslatable", "Request Tracker does not know this"
    book.leaf(leaf, verdict, note)
    return made if verdict != "untranslatable" else AnyOf()


def _leaf(book: Notebook, leaf: Leaf) -> tuple[Leaf, Verdict, str]:
    if isinstance(leaf, Is):
        return _is(book, leaf)
    if isinstance(leaf, Changed):
        return _changed(book, leaf)
    at = getattr(leaf, "type", "")
    if at == "tags":
        book.need("custom field", "Tags", "a field of many values that holds the tags")
        return leaf, "equivalent", "given the field Tags"
    return leaf, "exact", ""


def _is(book: Notebook, leaf: Is) -> tuple[Leaf, Verdict, str]:
    ours = str(leaf.path)
    if ours == "ticket.status":
        made, verdict, note = book.image(leaf, names.STATUS_TABLE, "status")
        return _split(book, made, verdict, note)
    if ours == "ticket.channel":
        return _came_by(book, leaf), "equivalent", f"given the field {names.CAME_BY} and the scrip that fills it"
    if ours == "actor.role":
        known = all(getattr(one, "value", "") in ("agent", "end_user") for one in leaf.values)
        note = "agents are privileged users there" if known else "there are privileged users and others, no other role"
        return leaf, "equivalent" if known else "untranslatable", note
    if ours == "ticket.priority":
        return book.image(leaf, names.PRIORITY_TABLE, "priority")
    if ours == "comment.public":
        seen = [getattr(one, "value", None) for one in leaf.values]
        values = tuple(Lit(value=str(one is not False).lower()) for one in seen)
        return leaf.model_copy(update={"values": values}), "equivalent", "a reply is public, a comment is not"
    if leaf.path.custom or ours == "ticket.type":
        name = field_name(leaf.path.custom) if leaf.path.custom else "Type"
        book.need("custom field", name, f"it holds {ours}")
        return leaf, "equivalent", "given the field is filled there"
    return leaf, "exact", ""


def _split(book: Notebook, made: Is, verdict: Verdict, note: str) -> tuple[Is, Verdict, str]:
    """Note the statuses that are added, where a condition tells them from those they would be without."""
    words = {getattr(one, "value", "") for one in made.values}
    split = [ours for ours, (_, without) in names.ADDED_STATUSES.items() if words & {ours, without}]
    if verdict != "exact" or not split:
        return made, verdict, note
    return made, "equivalent", "given " + " and ".join(_added(book, word) for word in split)


def _added(book: Notebook, word: str) -> str:
    name, without = names.ADDED_STATUSES[word]
    because = f"a status of the lifecycle, apart from {names.STATUS_NAMES[without]}; move tickets into it: "
    book.need("status", name, f"{because}overlay.request_tracker.ticket.status")
    return f"the status “{name}” is added there and tickets are moved into it"


def _came_by(book: Notebook, leaf: Is) -> Is:
    """Return a question for the channel as one for the field that remembers it in the old desk's words."""
    book.need("custom field", names.CAME_BY, "it holds the channel; filled when tickets are moved and made")
    table = ", ".join(f"{theirs} => {perl.quoted(ours)}" for theirs, ours in names.INTERFACES.items())
    code = f"my %of = ({table});\nmy $came = $of{{ RT->can('CurrentInterface') ? RT->CurrentInterface : '' }};\n"
    value = f"$self->TicketObj->AddCustomFieldValue(Field => {perl.quoted(names.CAME_BY)}, Value => $came) if $came;\n"
    native: Native = {
        "Description": "Came by",
        "ScripCondition": "On Create",
        "ScripAction": "User Defined",
        "Template": "Blank",
    }
    native |= {"CustomPrepareCode": "return 1;\n", "CustomCommitCode": f"{code}{value}return 1;\n", "SortOrder": 0}
    book.need("scrip", "Came by", f"fills {names.CAME_BY}; comes first", native)
    return leaf.model_copy(update={"values": remembered(leaf)})


def _changed(book: Notebook, leaf: Changed) -> tuple[Leaf, Verdict, str]:
    worst: tuple[Verdict, str] = ("exact", "")
    made: dict[str, Any] = {}
    for side, values in (("before", leaf.before), ("after", leaf.after)):
        if values is None:
            continue
        asked, verdict, note = _is(book, Is(path=leaf.path, values=values))
        if verdict in ("approximated", "untranslatable"):
            return leaf, "untranslatable", note
        made[side], worst = getattr(asked, "values", values), (verdict, note)
    merged = str(leaf.path) == "ticket.priority"
    if merged and leaf.before is None and leaf.after is None:
        return leaf, "approximated", "between two values that are one there, nothing changes"
    return leaf.model_copy(update=made), *worst


class Actions:
    """Writes the actions of one rule: all changes in one scrip, each mail in one of its own."""

    def __init__(self, book: Notebook, base: Native) -> None:
        self.book, self.base = book, base
        self.code: list[str] = []
        self.mails: list[Native] = []

    def scrips(self) -> list[Native]:
        """Return the scrips."""
        for at, action in enumerate(self.book.rule.do):
            self._one(at, action)
        made: list[Native] = []
        if self.code or not self.mails:
            commit = "my $t = $self->TicketObj;\n" + "".join(self.code) + "return 1;\n"
            code = {"CustomPrepareCode": "return 1;\n", "CustomCommitCode": commit}
            made.append({**self.base, "ScripAction": "User Defined", "Template": "Blank", **code})
        if len(self.mails) + len(made) > 1:
            self.book.add("rule", "several actions", "equivalent", "one scrip for the changes, one for each mail")
        return [*made, *({**self.base, **mail} for mail in self.mails)]

    def _one(self, at: int, action: Action) -> None:
        if isinstance(action, SetField) and self._set(at, action):
            return
        if isinstance(action, SetTags) and action.how != "replace":
            self.book.need("custom field", "Tags", "a field of many values that holds the tags")
            verb = "AddCustomFieldValue" if action.how == "add" else "DeleteCustomFieldValue"
            self.code += [f"$t->{verb}(Field => 'Tags', Value => {perl.quoted(tag)});\n" for tag in action.tags]
            self.book.action(at, "equivalent", "given the field Tags")
            return
        if isinstance(action, Comment):
            text = translated(self.book, at, action.body, lambda meaning: None)
            self.code.append(f"$t->{'Correspond' if action.public else 'Comment'}(Content => {perl.quoted(text)});\n")
            self.book.action(at, "equivalent", "written by the scrip")
            return
        if isinstance(action, Mail) and self._mail(at, action):
            return
        if isinstance(action, Hook):
            self._hook(at, action)
            return
        if not isinstance(action, SetField | Mail):
            self.book.action(at, "untranslatable", getattr(action, "why", "no scrip does this by itself: write Perl"))

    def _set(self, at: int, action: SetField) -> bool:
        ours = str(action.path)
        held, verdict, note = action.value, "exact", ""
        tables = {"ticket.status": names.STATUS_TABLE, "ticket.priority": names.PRIORITY_TABLE}
        if ours in tables:
            word, verdict, note = self.book.unset(ours, getattr(held, "value", None), tables[ours])
            held = Lit(value=str(word))
            if ours == "ticket.status" and word in names.ADDED_STATUSES:
                verdict, note = "equivalent", f"given {_added(self.book, str(word))}"
        value = "$nobody" if held is None and ours == "ticket.assignee" else perl.value(action.path, held)
        verbs = {"ticket.status": "SetStatus", "ticket.priority": "SetPriority", "ticket.group": "SetQueue"}
        verbs |= {"ticket.assignee": "SetOwner", "ticket.subject": "SetSubject"}
        if value is None or verdict == "untranslatable" or not (ours in verbs or action.path.custom):
            self.book.action(at, "untranslatable", f"Request Tracker cannot set {ours} so")
            return True
        if ours in verbs:
            actors = {"$nobody": "RT->Nobody->id", "$actor": "$self->TransactionObj->Creator"}
            self.code.append(f"$t->{verbs[ours]}({actors.get(value, value)});\n")
        else:
            name = field_name(action.path.custom)
            self.book.need("custom field", name, f"it holds {ours}")
            self.code.append(f"$t->AddCustomFieldValue(Field => {perl.quoted(name)}, Value => {value});\n")
            verdict, note = "equivalent", "given the field is there"
        self.book.action(at, verdict, note)  # type: ignore[arg-type]
        return True

    def _mail(self, at: int, action: Mail) -> bool:
        if all(one.who in ("user", "group", "all_agents") for one in action.to):
            return self._mail_people(at, action)
        known = [names.WATCHER_NAMES[one.who] for one in action.to if one.who in names.WATCHER_NAMES]
        lost = [one.who.replace("_", " ") for one in action.to if one.who not in names.WATCHER_NAMES]
        stock = {("Requestors",), ("Owner",), ("Ccs",), ("AdminCcs",), ("Requestors", "Ccs"), ("Owner", "AdminCcs")}
        if tuple(known) not in stock:
            self.book.action(at, "untranslatable", f"no stock action mails {', '.join(lost or known)}")
            return True
        text = self._template(at, action)
        verdict: Verdict = "approximated" if lost else "equivalent"
        note = f"not sent to: {', '.join(lost)}" if lost else "sent with the queue's address"
        self.book.action(at, verdict, note)
        self.mails.append({"ScripAction": f"Notify {' and '.join(known)}", **text})
        return True

    def _template(self, at: int, action: Mail) -> Native:
        """Note the template of a mail as needed return name and text; what is only said must not become Perl."""
        name = f"{self.book.rule.name} ({at + 1})"
        parts = (action.subject, action.body)
        text = [translated(self.book, at, part, names.placeholder, said=names.said) for part in parts]
        content = f"Subject: {' '.join(text[0].split())}\n\n{text[1]}\n"
        native = {"Name": name, "Type": "Perl", "Content": content, "Queue": 0}
        self.book.need("template", name, "the mail's text; Perl templates want the right ExecuteCode", native)
        return {"Template": name, "Text": content}

    def _mail_people(self, at: int, action: Mail) -> bool:
        """Mail people by name, with an action of its own (lib/RT/Action/NotifyGroup.pm)."""
        named = {"user": "user <user:{}>", "group": "queue <group:{}>", "all_agents": names.ALL_AGENTS}
        to = [named[one.who].format(one.id) for one in action.to]
        name = f"Notify for {self.book.rule.name} ({at + 1})"
        native = {"Name": name, "ExecModule": "NotifyGroup", "Argument": ", ".join(to)}
        self.book.need("scrip action", name, "mails people by name", native)
        if any(one.who == "group" for one in action.to):
            note = "given a group of people of the queue's name, as members of queues are in"
        else:
            note = "sent with the queue's address, without regard to who acts"
        native["Argument"] += ", AlwaysNotifyActor"
        self.book.action(at, "equivalent", note)
        self.mails.append({"ScripAction": name, "To": to, **self._template(at, action)})
        return True

    def _hook(self, at: int, action: Hook) -> None:
        """Call another system from the scrip: its address and secrets are entered there again."""
        text = translated(self.book, at, action.body, names.placeholder, said=names.said) if action.body else ""
        known = action.target.startswith(("https://", "http://"))
        url = perl.quoted(action.target if known else f"<{action.target}>")
        self.code += [
            "require LWP::UserAgent; require Text::Template; require Encode;\n",
            f"my $body{at} = Text::Template->fill_this_in({perl.quoted(text)},\n"
            f"    PACKAGE => 'RT::Template::Call{at}', HASH => {{\n"
            "    Ticket => \\$t, Transaction => \\($self->TransactionObj), rtname => RT->Config->Get('rtname') });\n",
            f"LWP::UserAgent->new(timeout => 10)->post({url}, 'Content-Type' => 'application/json',\n"
            f"    Content => Encode::encode('UTF-8', $body{at}));\n",
        ]
        if not known:
            self.book.need("webhook address", action.target, "the old vendor does not hand out what its webhooks call")
        self.book.action(at, "equivalent", "called by the scrip; address and secrets are entered in it again")


def _stock(action: Action) -> str:
    """Return the stock action that mails these, which is all that is known of it."""
    to = [names.WATCHER_NAMES.get(one.who, "") for one in action.to] if isinstance(action, Mail) else [""]
    return f"Notify {' and '.join(to)}" if all(to) else names.PEOPLE


def _own(book: Notebook) -> Native:
    """Return the scrip, or saved search, that Request Tracker's own reader made the rule from."""
    source = book.rule
    if source.kind == "view" and isinstance(source.when, Opaque):
        return {"Name": source.name, "Query": source.when.text} | {key: json.loads(v) for key, v in source.options}
    (action,) = source.do
    native: Native = {"Description": source.name}
    if isinstance(action, Unread):
        native |= {"ScripAction": action.name, **json.loads(action.text)}
    else:
        options = dict(getattr(action, "options", ()))
        named = json.loads(options["name"]) if "name" in options else _stock(action)
        native["ScripAction"] = action.word if isinstance(action, Verb) else named
    when = source.when
    if isinstance(when, Opaque):
        native |= json.loads(when.text)
    elif isinstance(when, Event):
        native["ScripCondition"] = names.EVENT_NAMES.get(when.kinds[0], when.kinds[0])
    elif isinstance(when, Changed):
        (to,) = when.after or (None,)
        status = names.STATUS_NAMES.get(str(getattr(to, "value", "")), getattr(to, "id", ""))
        native["ScripCondition"] = NAMES[(str(when.path), status)]
    else:
        said = [part for part in getattr(when, "of", ()) if isinstance(part, Is)]
        public = getattr(said[0].values[0], "value", None) if said else None
        native["ScripCondition"] = names.SAID_NAMES[bool(public)] if said else names.ANYTHING
    if not isinstance(when, All | AnyOf):
        book.leaf(when, "exact")  # type: ignore[arg-type]
    book.action(0, "exact")
    return native | {key: json.loads(value) for key, value in (*source.options, *source.unknown, *source.kept)}
