"""Writes tests/github_double/facts: GitHub's published API descriptions, cut down to what the tests' GitHub answers.

Paths, names, types, required, enums, and defaults are kept. Descriptions and examples are not.
`python scripts/github_facts.py` writes the files, `--check` compares. Both fetch two packages (MIT) with npm.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphql import (
    REMOVE,
    FieldDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    Visitor,
    VisitorAction,
    build_schema,
    parse,
    print_ast,
    visit,
)

FACTS = Path(__file__).resolve().parent.parent / "tests" / "github_double" / "facts"
REST = "@octokit/openapi@23.0.2"
GRAPHQL = "@octokit/graphql-schema@15.26.1"

OPERATIONS = """
GET /repos/{owner}/{repo}/collaborators/{username}/permission
GET /repos/{owner}/{repo}/commits/{ref}/statuses
GET /repos/{owner}/{repo}/compare/{basehead}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}
GET /repos/{owner}/{repo}/issues/{issue_number}/comments
POST /repos/{owner}/{repo}/issues/{issue_number}/comments
GET /repos/{owner}/{repo}/pulls
GET /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews
GET /repos/{owner}/{repo}/rules/branches/{branch}
POST /repos/{owner}/{repo}/statuses/{sha}
"""

# The fields that the package queries, by type; arguments and their types come along by themselves.
FIELDS = {
    "Query": "repository viewer",
    "Actor": "login",
    "Blob": "isTruncated oid text",
    "Bot": "login",
    "Commit": "authors committedDate committedViaWeb committer oid parents status",
    "CommitConnection": "nodes totalCount",
    "GitActor": "user",
    "GitActorConnection": "nodes pageInfo",
    "GitObject": "oid",
    "IssueComment": "body fullDatabaseId url viewerDidAuthor",
    "IssueCommentConnection": "nodes pageInfo",
    "PageInfo": "endCursor hasNextPage",
    "PullRequest": "assignees author comments commits headRefOid",
    "PullRequestCommit": "commit",
    "PullRequestCommitConnection": "nodes",
    "PullRequestConnection": "nodes",
    "Ref": "name refUpdateRule",
    "RefUpdateRule": "requiredStatusCheckContexts",
    "Repository": "defaultBranchRef nameWithOwner object pullRequest pullRequests ref",
    "Status": "contexts",
    "StatusContext": "context createdAt creator description targetUrl",
    "Tree": "oid",
    "User": "login",
    "UserConnection": "nodes pageInfo",
}


def rest(spec: Mapping[str, Any]) -> str:
    """Return rest.json: each operation with its parameters, body and answers as JSON Schema, one a line."""
    operations = [_operation(spec, *line.split()) for line in OPERATIONS.strip().splitlines()]
    names: dict[str, Any] = {}
    todo = list(_refs(operations))
    while todo:
        name = todo.pop()
        if name not in names:
            names[name] = _schema(spec["components"]["schemas"][name])
            todo += _refs(names[name])
    lines = ",\n".join(_line(operation) for operation in operations)
    schemas = ",\n".join(f"{_line(name)}:{_line(names[name])}" for name in sorted(names))
    source = _line(REST)
    return f'{{"source":{source},\n"operations":[\n{lines}\n],\n"schemas":{{\n{schemas}\n}}}}\n'


def graphql(text: str) -> str:
    """Return schema.graphql: the types and fields of FIELDS, and the arguments, inputs and enums that they need."""
    descriptions = re.compile(r'""".*?"""', re.DOTALL)
    definitions = parse(descriptions.sub("", text), no_location=True).definitions
    every = {node.name.value: node for node in definitions if isinstance(node, TypeDefinitionNode)}
    kept: dict[str, str] = {}
    todo = [every[name] for name in FIELDS]
    while todo:
        node = todo.pop()
        if node.name.value not in kept:
            cut = _Cut(node)
            kept[node.name.value] = print_ast(visit(node, cut))
            todo += [every[name] for name in cut.types if name in every]
    schema = "\n\n".join(kept[name] for name in sorted(kept))
    build_schema(schema)  # if a type is missing, this fails instead of a test
    return f"# {GRAPHQL}, cut by scripts/github_facts.py\n\n{schema}\n"


# --- REST --------------------------------------------------------------------------------------------------


def _operation(spec: Mapping[str, Any], method: str, path: str) -> dict[str, Any]:
    operation = spec["paths"][path][method.lower()]
    parameters = [_followed(spec, parameter) for parameter in operation.get("parameters", [])]
    return {
        "id": operation["operationId"],
        "method": method,
        "path": path,
        "parameters": [
            {
                "name": parameter["name"],
                "in": parameter["in"],
                "required": parameter.get("required", False),
                "multi_segment": parameter.get("x-multi-segment", False),
                "schema": _schema(parameter["schema"]),
            }
            for parameter in parameters
        ],
        "body": _content(operation.get("requestBody")),
        "answers": {
            status: _content(_followed(spec, answer))
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        },
    }


def _content(body: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - a JSON Schema
    contents = (body or {}).get("content", {})
    return _schema(contents["application/json"]["schema"]) if "application/json" in contents else None


def _followed(spec: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        _, _, kind, name = node["$ref"].split("/")
        node = spec["components"][kind][name]
    return node


KEYWORDS = ("type", "format", "required", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")


def _schema(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI 3.0 schema as JSON Schema, without words."""
    if "$ref" in node:
        return {"$ref": "#/schemas/" + node["$ref"].rsplit("/", 1)[1]}
    schema: dict[str, Any] = {key: node[key] for key in KEYWORDS if key in node}
    if "enum" in node:
        schema["enum"] = list(node["enum"])
    if "properties" in node:
        schema["properties"] = {name: _schema(each) for name, each in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = _schema(node["additionalProperties"])
    elif "additionalProperties" in node:
        schema["additionalProperties"] = node["additionalProperties"]
    if "items" in node:
        schema["items"] = _schema(node["items"])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in node:
            schema[key] = [_schema(each) for each in node[key]]
    return _or_null(schema) if node.get("nullable") else schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" not in schema:
        return {"anyOf": [{"type": "null"}, schema]}
    schema["type"] = [schema["type"], "null"]
    if None not in schema.get("enum", [None]):
        schema["enum"].append(None)
    return schema


def _refs(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(ref := node.get("$ref"), str):
            yield ref.rsplit("/", 1)[1]
        for each in node.values():
            yield from _refs(each)
    elif isinstance(node, list):
        for each in node:
            yield from _refs(each)


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# --- GraphQL -----------------------------------------------------------------------------------------------


class _Cut(Visitor):
    """Removes directives and what FIELDS does not name from a type. Collects the types it refers to."""

    def __init__(self, node: TypeDefinitionNode) -> None:
        super().__init__()
        self.types: set[str] = set()
        self._wanted: set[str] = set()
        if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            names = [node.name.value, *(each.name.value for each in node.interfaces or ())]
            self._wanted = {field for name in names for field in FIELDS.get(name, "").split()}
            unknown = self._wanted - {each.name.value for each in node.fields or ()}
            if unknown or names[0] not in FIELDS:
                raise SystemExit(f"FIELDS names no or wrong fields of {names[0]}: {', '.join(sorted(unknown))}")

    def enter(self, node: Node, _key: object, _parent: object, path: list[str | int], *_: object) -> VisitorAction:
        """Return what becomes of a node."""
        match node:
            case FieldDefinitionNode() if node.name.value not in self._wanted:
                return REMOVE
            case NamedTypeNode() if path[-2] in {"interfaces", "types"} and node.name.value not in FIELDS:
                return REMOVE
            case NamedTypeNode():
                self.types.add(node.name.value)
            case _ if node.kind == "directive":
                return REMOVE
            case _:
                pass
        return None


# --- The files ---------------------------------------------------------------------------------------------


def main() -> None:
    """Write the facts, or with --check say what differs and exit with 1."""
    with TemporaryDirectory() as folder:
        npm = [str(Path(sys.executable).with_name("npm")), "install", "--silent", "--no-audit", "--ignore-scripts"]
        subprocess.run([*npm, "--prefix", folder, REST, GRAPHQL], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the names stand above
        packages = Path(folder) / "node_modules" / "@octokit"
        spec = json.loads((packages / "openapi" / "generated" / "api.github.com.json").read_bytes())
        schema = (packages / "graphql-schema" / "schema.graphql").read_text(encoding="utf-8")
    made = {FACTS / "rest.json": rest(spec), FACTS / "schema.graphql": graphql(schema)}
    if sys.argv[1:] == ["--check"]:
        stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text() != text]
        sys.exit(f"not what the descriptions say: {', '.join(stale)}" if stale else 0)
    FACTS.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
