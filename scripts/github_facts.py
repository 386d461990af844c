"""Owns how tests/github/facts is made: GitHub's published API descriptions, cut down to what the tests' GitHub answers.

Never takes prose or examples along: paths, names, types, required, enums and defaults are kept, which are facts.
`python scripts/github_facts.py` writes the files, `--check` compares; both fetch two pinned packages (MIT) by `npm`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphql import (
    DefinitionNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    build_schema,
    parse,
    print_ast,
)

FACTS = Path(__file__).resolve().parent.parent / "tests" / "github" / "facts"
REST = ("@octokit/openapi", "23.0.2", "package/generated/api.github.com.json")
GRAPHQL = ("@octokit/graphql-schema", "15.26.1", "package/schema.graphql")

OPERATIONS = """
GET /repos/{owner}/{repo}
GET /repos/{owner}/{repo}/branches/{branch}
GET /repos/{owner}/{repo}/collaborators/{username}/permission
GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls
GET /repos/{owner}/{repo}/commits/{ref}
GET /repos/{owner}/{repo}/commits/{ref}/status
GET /repos/{owner}/{repo}/commits/{ref}/statuses
GET /repos/{owner}/{repo}/contents/{path}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
GET /repos/{owner}/{repo}/issues/comments/{comment_id}
PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}
GET /repos/{owner}/{repo}/issues/{issue_number}
GET /repos/{owner}/{repo}/issues/{issue_number}/comments
POST /repos/{owner}/{repo}/issues/{issue_number}/comments
GET /repos/{owner}/{repo}/pulls
GET /repos/{owner}/{repo}/pulls/{pull_number}
GET /repos/{owner}/{repo}/pulls/{pull_number}/files
GET /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews
GET /repos/{owner}/{repo}/rules/branches/{branch}
POST /repos/{owner}/{repo}/statuses/{sha}
"""

# The fields that the tests' GitHub resolves, by type; arguments and their types come along by themselves.
CONNECTION = "nodes pageInfo totalCount"
FIELDS = {
    "Query": "rateLimit repository viewer",
    "Mutation": "deleteIssueComment minimizeComment",
    "Actor": "login",
    "Blob": "byteSize isBinary isTruncated oid text",
    "Bot": "id login",
    "Comment": "author body createdAt id updatedAt viewerDidAuthor",
    "Commit": "committedDate file history id message oid parents status",
    "CommitConnection": CONNECTION,
    "CommitHistoryConnection": CONNECTION,
    "DeleteIssueCommentPayload": "clientMutationId",
    "GitObject": "oid",
    "IssueComment": "author body createdAt databaseId fullDatabaseId id isMinimized minimizedReason updatedAt url "
    "viewerCanDelete viewerCanMinimize viewerCanUpdate viewerDidAuthor",
    "IssueCommentConnection": CONNECTION,
    "MinimizeCommentPayload": "clientMutationId minimizedComment",
    "Minimizable": "isMinimized minimizedReason viewerCanMinimize",
    "Node": "id",
    "PageInfo": "endCursor hasNextPage hasPreviousPage startCursor",
    "PullRequest": "author baseRef baseRefName baseRefOid changedFiles comments commits createdAt files "
    "fullDatabaseId headRef headRefName headRefOid headRepository headRepositoryOwner id isCrossRepository isDraft "
    "locked merged number repository reviewRequests reviews state title updatedAt url",
    "PullRequestChangedFile": "additions changeType deletions path",
    "PullRequestChangedFileConnection": CONNECTION,
    "PullRequestCommit": "commit",
    "PullRequestCommitConnection": CONNECTION,
    "PullRequestConnection": CONNECTION,
    "PullRequestReview": "author authorCanPushToRepository body commit createdAt fullDatabaseId id isMinimized "
    "minimizedReason state submittedAt updatedAt viewerCanMinimize viewerDidAuthor",
    "PullRequestReviewConnection": CONNECTION,
    "RateLimit": "cost limit nodeCount remaining resetAt used",
    "Ref": "name prefix target",
    "Repository": "defaultBranchRef id isArchived isPrivate name nameWithOwner object owner pullRequest pullRequests "
    "ref viewerPermission",
    "RepositoryOwner": "login",
    "RequestedReviewer": "",
    "ReviewRequest": "requestedReviewer",
    "ReviewRequestConnection": CONNECTION,
    "Status": "commit context contexts state",
    "StatusContext": "commit context createdAt creator description state targetUrl",
    "Tree": "oid",
    "TreeEntry": "mode name object path type",
    "User": "id login",
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
    source = _line("@".join(REST[:2]))
    return f'{{"source":{source},\n"operations":[\n{lines}\n],\n"schemas":{{\n{schemas}\n}}}}\n'


def graphql(text: str) -> str:
    """Return schema.graphql: the types and fields of FIELDS, and the arguments, inputs and enums that they need."""
    document = parse(text, no_location=True)
    every = {node.name.value: node for node in document.definitions if isinstance(node, Type)}
    if strangers := FIELDS.keys() - every.keys():
        raise SystemExit(f"the schema knows no {', '.join(sorted(strangers))}")
    kept: dict[str, DefinitionNode] = {}
    todo = list(FIELDS)
    while todo:
        name = todo.pop()
        if name in every and name not in kept:
            kept[name] = _cut(every[name], every)
            todo += _needs(kept[name])
    schema = "\n\n".join(print_ast(kept[name]) for name in sorted(kept))
    build_schema(schema)  # a table with a hole fails here, not in a test
    return f"# {'@'.join(GRAPHQL[:2])}, cut by scripts/github_facts.py\n\n{schema}\n"


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

Output = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode
Type = (
    Output | UnionTypeDefinitionNode | EnumTypeDefinitionNode | InputObjectTypeDefinitionNode | ScalarTypeDefinitionNode
)


def _cut(node: Type, every: Mapping[str, Type]) -> Type:
    """Return a type with the fields that are kept, bare of words and directives."""
    name = node.name
    match node:
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            if name.value not in FIELDS:
                raise SystemExit(f"{name.value} is referred to, and FIELDS does not tell what of it is kept")
            interfaces = tuple(each for each in node.interfaces or () if each.name.value in FIELDS)
            wanted = set(FIELDS[name.value].split()).union(*(FIELDS[each.name.value].split() for each in interfaces))
            if strangers := wanted - {each.name.value for each in node.fields or ()}:
                raise SystemExit(f"{name.value} has no {', '.join(sorted(strangers))}")
            fields = tuple(_field(each) for each in node.fields or () if each.name.value in wanted)
            return type(node)(name=name, interfaces=interfaces, fields=fields, directives=())
        case UnionTypeDefinitionNode():
            types = tuple(each for each in node.types or () if each.name.value in FIELDS and each.name.value in every)
            return UnionTypeDefinitionNode(name=name, types=types, directives=())
        case EnumTypeDefinitionNode():
            values = tuple(type(each)(name=each.name, directives=()) for each in node.values or ())
            return EnumTypeDefinitionNode(name=name, values=values, directives=())
        case InputObjectTypeDefinitionNode():
            return InputObjectTypeDefinitionNode(name=name, fields=_inputs(node.fields or ()), directives=())
        case ScalarTypeDefinitionNode():
            return ScalarTypeDefinitionNode(name=name, directives=())


def _field(node: FieldDefinitionNode) -> FieldDefinitionNode:
    return FieldDefinitionNode(name=node.name, arguments=_inputs(node.arguments or ()), type=node.type, directives=())


def _inputs(nodes: Iterable[InputValueDefinitionNode]) -> tuple[InputValueDefinitionNode, ...]:
    return tuple(
        InputValueDefinitionNode(name=each.name, type=each.type, default_value=each.default_value, directives=())
        for each in nodes
    )


def _needs(node: DefinitionNode) -> Iterator[str]:
    match node:
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            for field in node.fields or ():
                yield _named(field.type)
                yield from (_named(each.type) for each in field.arguments or ())
        case InputObjectTypeDefinitionNode():
            yield from (_named(each.type) for each in node.fields or ())
        case _:
            return


def _named(node: TypeNode) -> str:
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    if not isinstance(node, NamedTypeNode):
        raise TypeError(f"not a type: {node}")
    return node.name.value


# --- The files ---------------------------------------------------------------------------------------------


def fetched(package: str, version: str, member: str) -> bytes:
    """Return one file of an npm package; raises CalledProcessError where npm cannot get it."""
    with TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603 - the names stand above
            ["npm", "pack", "--silent", f"{package}@{version}"],  # noqa: S607 - the npm of who runs this
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            content = files.extractfile(member)
            if content is None:
                raise SystemExit(f"{package}@{version} has no file {member}")
            return content.read()


def main() -> None:
    """Write the facts, or with --check say what differs and exit with 1."""
    made = {
        FACTS / "rest.json": rest(json.loads(fetched(*REST))),
        FACTS / "schema.graphql": graphql(fetched(*GRAPHQL).decode()),
    }
    if sys.argv[1:] == ["--check"]:
        stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text() != text]
        sys.exit(f"not what the descriptions say: {', '.join(stale)}" if stale else 0)
    FACTS.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
