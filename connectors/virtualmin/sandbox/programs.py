"""What every program of the twin has: parameters read as the programs read them, exits, and virtual servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from migrator.testing.sandbox import Native, Sandbox

Program = Callable[[Sandbox, list[str]], str]
PROGRAMS: dict[str, Program] = {}
FEATURES = ("unix", "dir", "dns", "mail", "web", "ssl", "logrotate", "mysql", "postgres", "spam", "virus", "webmin")
ALIAS_FEATURES = ("dir", "mail", "dns", "web")


class ExitError(Exception):
    """A program ended otherwise than well; what it printed until then."""

    def __init__(self, printed: str, status: int = 1) -> None:
        super().__init__(printed)
        self.printed, self.status = printed, status


class Args:
    """Parameters as a program reads them: one that takes a value takes the next word, whatever that is."""

    def __init__(self, program: str, words: Sequence[str], takes: str, flags: str = "") -> None:
        self.program = program
        self._held: dict[str, list[str]] = {}
        valued, bare = takes.split(), [*flags.split(), "multiline", "help"]
        rest = list(words)
        while rest:
            name = rest.pop(0).removeprefix("--")
            if name in valued:
                self._held.setdefault(name, []).append(rest.pop(0) if rest else "")
            elif name in bare:
                self._held.setdefault(name, []).append("")
            else:
                self.usage(f"Unknown parameter --{name}")

    def usage(self, said: str) -> None:
        """End the program with what is wrong, and how it is used."""
        raise ExitError(f"{said}\n\nWhat the program does.\n\nvirtualmin {self.program} --domain domain.name\n")

    def has(self, name: str) -> bool:
        """Tell whether a parameter was given."""
        return name in self._held

    def one(self, name: str) -> str:
        """Return a parameter's value, the last one; an empty text where it was not given."""
        return self._held.get(name, [""])[-1]

    def all(self, name: str) -> list[str]:
        """Return the values of a parameter that may be given several times."""
        return self._held.get(name, [])

    def domain(self, box: Sandbox, *, needs: str = "") -> Native:
        """Return the virtual server that ``--domain`` names."""
        name = self.one("domain")
        if not name:
            self.usage("No domain specified")
        found = box.store["domains"].get(name)
        if found is None:
            self.usage(f"Virtual server {name} does not exist")
        assert found is not None
        if needs and needs not in found["features"]:
            self.usage(f"Virtual server {name} does not have {needs} enabled")
        return found

    def domains(self, box: Sandbox, user: str = "user") -> list[Native]:
        """Return the virtual servers named by ``--domain`` or by their owner."""
        if not self.has("domain") and not self.has(user):
            self.usage("No domains or users specified")
        found = [self.domain(box)] if self.has("domain") else []
        for owner in self.all(user):
            theirs = [one for one in box.store["domains"].values() if one["user"] == owner]
            if not theirs:
                self.usage(f"No top-level domain owned by {owner} exists")
            found += theirs
        return found


def program(name: str) -> Callable[[Program], Program]:
    """Register a program."""

    def register(run: Program) -> Program:
        PROGRAMS[name] = run
        return run

    return register


def furnished(box: Sandbox, name: str, user: str, *, features: Sequence[str], **more: object) -> Native:
    """Put a virtual server in, as ``create-domain`` leaves it."""
    box.state["ids"] += 1
    home = f"/home/{user}" if not more.get("parent") else f"/home/{user}/domains/{name}"
    made: Native = {
        "dom": name, "id": str(box.state["ids"]), "user": user, "home": home, "features": list(features), "quota": 0,
        "pass": "clear-text-secret", "php": "8.2", "protected": False, **more,
    }  # fmt: skip
    box.store["domains"][name] = made
    return made
