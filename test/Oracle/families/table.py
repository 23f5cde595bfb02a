"""The page docs/Families.md: what was compared with what, and how it came out."""

import re

import compare
import golden

HEAD = """# Families of models

What `moe-opt` reads of Hugging Face models, and how each was compared. Written by `scripts/oracle.sh`; a test keeps its rows those of the
golden files in `test/Oracle/golden`, and every family here.

*Against* says where the expected values are from: the module of that version of `transformers` upcast to f64, or, where there is no code
to run, the published code said again in numpy and f64. *Error* is the relative Frobenius error of y in bf16 against f64, the largest of
{seeds}, over the tokens that f64 and bf16 route alike; *module's* is that of the module's own bf16. *Tokens* were all given the experts that f64
gives them, where of equal scores the lower index goes first. *Ties* counts the tokens of the golden whose equal scores the module itself resolved otherwise.

| golden | family | `model_type` | against | tokens | ties | error | module's | weights |
|---|---|---|---|---|---|---|---|---|
"""

NOTES = "\n## Notes\n\n"
UNTESTED = """
## Read, but without a golden

Further values of `model_type` that a family of the table claims, for which no file stands here.

"""


def page(reports, seeds):
    goldens = {name: golden.load(golden.GOLDEN / name) for name in reports}
    many = "the golden" if not seeds else f"the golden and {seeds} other seeds"
    text = HEAD.format(seeds=many)
    for name, report in reports.items():
        text += row(name, report, goldens[name])
    notes = [f"- **{name}**: {made.notes}.\n" for name, made in goldens.items() if made.notes]
    text += NOTES + "".join(notes)
    known = families()
    configs = [c for made in goldens.values() for c in (made.config, *made.also.values())]
    seen = {kind for config in configs for kind in model_types(config)}
    rest = {family: sorted(set(types) - seen) for family, types in known.items()}
    lines = [f"- {family}: {', '.join(types)}\n" for family, types in rest.items() if types]
    return text + UNTESTED + "".join(lines)


def row(name, report, made):
    kinds = ", ".join(f"`{kind}`" for kind in model_types(made.config))
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
        made.layout,
    ]
    return "| " + " | ".join(cells) + " |\n"


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
    tested = {report.family for report in reports.values()}
    if not any(report.failure for report in reports.values()):
        wrong += [f"family {name} has no golden" for name in families() if name not in tested]
    return wrong
