"""The texts of a pod in which the name of a Service may stand: environment, command line and mounted configuration.

Each text says where it comes from: ``env:NAME=value``, ``args:`` and a shell-quoted command line, or
``config:MAP/KEY`` and the content on the following lines.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ENV, ARGS, CONFIG = "env:", "args:", "config:"
ConfigMaps = Mapping[tuple[str, str], Mapping[str, str]]
"""ConfigMap data by (namespace, name)."""
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """A key of a ConfigMap that an environment variable takes its value from."""

    config_map: str
    key: str


@dataclass(frozen=True, slots=True)
class ContainerTexts:
    """What one container says before references to ConfigMaps are followed.

    ``env_from`` holds (prefix, ConfigMap); ``mounts`` the ConfigMaps (name, keys or ``None`` for all) of its volumes.
    """

    env: tuple[tuple[str, str | ConfigKey], ...] = ()
    env_from: tuple[tuple[str, str], ...] = ()
    command_line: tuple[str, ...] = ()
    mounts: tuple[tuple[str, tuple[str, ...] | None], ...] = ()


def resolve_texts(containers: tuple[ContainerTexts, ...], namespace: str, config_maps: ConfigMaps) -> tuple[str, ...]:
    """Return the texts of a pod's containers, ConfigMap references followed and ``$(VAR)`` filled in; no text twice."""
    texts: dict[str, None] = {}
    for container in containers:
        env = _environment(container, namespace, config_maps)
        texts.update((f"{ENV}{name}={value}", None) for name, value in env.items())
        if container.command_line:
            line = shlex.join(_expand(part, env) for part in container.command_line)
            texts[ARGS + line] = None
        for name, keys in container.mounts:
            for key, content in config_maps.get((namespace, name), {}).items():
                if keys is None or key in keys:
                    texts[f"{CONFIG}{name}/{key}\n{_expand(content, env)}"] = None
    return tuple(texts)


def _environment(container: ContainerTexts, namespace: str, config_maps: ConfigMaps) -> dict[str, str]:
    """Return the variables as the kubelet sets them: later ones may refer to earlier ones."""
    env: dict[str, str] = {}
    for prefix, name in container.env_from:
        env.update((prefix + key, value) for key, value in config_maps.get((namespace, name), {}).items())
    for name, value in container.env:
        if isinstance(value, ConfigKey):
            stated = config_maps.get((namespace, value.config_map), {}).get(value.key)
            if stated is not None:
                env[name] = stated
        else:
            env[name] = _expand(value, env)
    return env


def _expand(text: str, env: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    return _REFERENCE.sub(lambda match: env.get(match.group(1) or match.group(2), match.group(0)), text)


def split_text(text: str) -> Iterator[tuple[str, str]]:
    """Yield a text of `resolve_texts` as (where, line) pairs; ``where`` starts with the text's kind."""
    if text.startswith(ENV):
        name, _, value = text.removeprefix(ENV).partition("=")
        for line in value.splitlines():
            yield f"{ENV}{name}", line
    elif text.startswith(CONFIG):
        where, *lines = text.split("\n")
        for line in lines:
            yield where, line
    else:
        yield ARGS, text.removeprefix(ARGS)
