"""The page docs/Families.md: what was compared with what, and how it came out."""

import re

import compare
import files
import golden
from notes import NOTES

HEAD = """# Families of models

What `moe-opt` reads of Hugging Face models, and how each was compared. Written by
`scripts/oracle.sh` from the golden files in `test/Oracle/golden` and the notes in
`test/Oracle/families/notes.py`; a test keeps its rows those of the golden files, and every
`model_type` of a family in the config of a golden or in another config that is to mean the same.

*Against* says where the expected values are from: the module of that version of `transformers`
upcast to f64, or, where there is no code to run, the published code said again in numpy and f64.
*Error* is the relative Frobenius error of y in bf16 against f64, the largest of {seeds};
*module's* is that of the module's own bf16, over the tokens that f64 and bf16 route alike.
*Tokens* were all given the experts that f64 gives them, where of equal scores the lower index
goes first. *Ties* counts the tokens of the golden whose equal scores the module itself resolved
otherwise. *Weights* says how experts lie in the golden's files: a tensor for each, or all in one,
with its shape, and how they are quantised.

| golden | family | `model_type` | against | tokens | ties | error | module's | weights |
|---|---|---|---|---|---|---|---|---|
"""

REMARKS = """
## Notes

Where a publisher's code and that of transformers 5.23 disagree, the latter decides, unless a note
says otherwise.

"""


def page(reports, seeds):
    goldens = {name: golden.load(golden.GOLDEN / name) for name in reports}
    many = f"the golden and {seeds} of other seeds and options" if seeds else "the golden"
    text = HEAD.format(seeds=many)
    for name, report in reports.items():
        text += row(name, report, goldens[name])
    return text + REMARKS + "".join(note_line(*note) for note in NOTES)


def note_line(names, note):
    return f"- **{names}**: {note}\n"


def row(name, report, made):
    kinds = ", ".join(f"`{kind}`" for kind in all_types(made))
    figures = ["fails", "", ""]
    if not report.failure:
        own = "" if report.own_error is None else f"{report.own_error:.1e}"
        figures = [str(report.tokens), f"{report.error:.1e}", own]
    cells = [
        name,
        report.family,
        kinds,
        made.source,
        figures[0],
        str(made.ties),
        *figures[1:],
        layout(name) if made.layout == "plain" else f"{layout(name)}; {made.layout}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def layout(name):
    """How the experts lie in the golden's files."""
    shapes = {}
    for path in (golden.GOLDEN / name).glob("model*.safetensors"):
        for tensor, (array, _) in files.read_safetensors(path).items():
            shapes[tensor] = array.shape
    each = re.compile(r"experts\.(?:expert_)?\d+\.(\w+)")
    leaves = [match[1] for match in map(each.search, shapes) if match]
    if leaves:
        return "per expert: " + " ".join(dict.fromkeys(sorted(leaves)))
    routed = {t: s for t, s in shapes.items() if "shared" not in t and "router" not in t}
    form = "stacked" if any(len(s) > 2 for s in routed.values()) else "flat"
    rank = 3 if form == "stacked" else 2
    parts = [
        f"{re.split('[.]', t.removesuffix('.weight'))[-1]} {list(s)}"
        for t, s in sorted(routed.items())
        if len(s) >= rank
    ]
    return f"{form}: " + ", ".join(parts)


def all_types(made):
    """Of a golden's config and of those that are to mean the same."""
    configs = (made.config, *made.also.values())
    return list(dict.fromkeys(kind for config in configs for kind in model_types(config)))


def model_types(config):
    """The model's and, where there is one, that of its text part."""
    found = [config["model_type"]] if "model_type" in config else []
    for section in config.values():
        if isinstance(section, dict) and section is not config.get("vision_config"):
            if "hidden_size" in section or "text_config" in section:
                found += model_types(section)
    return [kind for kind in dict.fromkeys(found) if kind]


def families():
    """family -> model types, as moe-opt prints them; architectures are in camel case."""
    known = {}
    for line in compare.run_tool(compare.tool("moe-opt"), "--families").splitlines():
        family, *names = line.split()
        known[family] = [n for n in names if not re.search("For[A-Z]|CausalLM$", n)]
    return known


def rows(text):
    """golden -> family of a page."""
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    return {c[1].strip(): c[2].strip() for c in cells if c[1].strip() != "golden"}


def differences(text, reports):
    """What is wrong with a page, given reports of all goldens."""
    wrong = []
    listed = rows(text)
    for name, report in reports.items():
        if listed.get(name) != report.family and not report.failure:
            wrong.append(f"docs/Families.md does not list golden {name} of family {report.family}")
    wrong += [
        f"docs/Families.md lists {name}, which is no golden"
        for name in listed
        if name not in reports
    ]
    wrong += [
        f"docs/Families.md lacks the note on {note[0]}"
        for note in NOTES
        if note_line(*note) not in text
    ]
    if any(report.failure for report in reports.values()):
        return wrong
    for name, types in families().items():
        of_family = [
            golden.load(golden.GOLDEN / r.name) for r in reports.values() if r.family == name
        ]
        seen = {kind for made in of_family for kind in all_types(made)}
        wrong += [f"{kind} of family {name} is in no config" for kind in types if kind not in seen]
    return wrong
