#!/usr/bin/env python3
"""Writes expected/*.txt: what pySigma makes of rules with the pipelines beside this file.

Development only: python3 -m venv v && v/bin/pip install pysigma==1.5.1 && v/bin/python expect.py SIGMAHQ [--all OUT]

Of SigmaHQ's rules only id and a hash of the outline are kept (`refused` where pySigma raises an error). `--all OUT` takes
every rule instead of every 15th and writes outlines to OUT, for finding out where two outlines differ."""

import copy, hashlib, re, sys
from pathlib import Path

import yaml
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND
from sigma.correlations import SigmaCorrelationRule
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection
from sigma.types import *

HERE = Path(__file__).parent
FOLDERS = ["rules", "rules-compliance", "rules-dfir", "rules-emerging-threats", "rules-placeholder", "rules-threat-hunting"]


def quoted(text):
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def pattern(parts):
    out, last = "", None
    for part in parts:
        if isinstance(part, str):
            out += re.sub(r"([*?%\\])", r"\\\1", part)
        elif isinstance(part, Placeholder):
            out += f"%{part.name}%"
        elif part == SpecialChars.WILDCARD_MULTI:
            out += "" if last == part else "*"
        else:
            out += "?"
        last = part
    return out


def value(v):
    if isinstance(v, SigmaString):
        return quoted(pattern(v.s))
    if isinstance(v, SigmaExpansion):
        return "(each " + " ".join(map(value, v.values)) + ")"
    if isinstance(v, SigmaNull):
        return "null"
    if isinstance(v, SigmaBool):
        return str(v.boolean).lower()
    if isinstance(v, SigmaTimestampPart):
        return f"{v.timestamp_part.name.lower()}:{v.number}"
    if isinstance(v, SigmaNumber):
        return str(v.number)
    if isinstance(v, SigmaRegularExpression):
        letters = "".join(sorted(v.sigma_to_re_flag[f] for f in v.flags))
        return f"re:{quoted(v.regexp.to_plain(True))}:{letters}"
    if isinstance(v, SigmaCIDRExpression):
        return f"cidr:{quoted(v.cidr)}"
    if isinstance(v, SigmaExists):
        return f"exists:{str(v.exists).lower()}"
    if isinstance(v, SigmaCompareExpression):
        return f"{v.op.name.lower()}:{v.number}"
    if isinstance(v, SigmaFieldReference):
        how = {(False, False): "equals", (True, False): "startswith", (False, True): "endswith", (True, True): "contains"}
        return f"field:{quoted(v.field)}:{how[v.starts_with, v.ends_with]}"
    raise TypeError(type(v))


def link(cls):
    return "all" if cls is ConditionAND else "any"


def branch(d):
    if isinstance(d, SigmaDetection):
        if len(d.detection_items) == 1:
            return branch(d.detection_items[0])
        return "(" + " ".join([link(d.item_linking)] + [branch(i) for i in d.detection_items]) + ")"
    field = "keyword" if d.field is None else quoted(d.field)
    how = "any" if len(d.value) == 1 else link(d.value_linking)
    return "(" + ("not " if d.negated else "") + " ".join([field, how] + [value(v) for v in d.value]) + ")"


def outline(text, pipeline):
    collection = SigmaCollection.from_yaml(text)
    collection.resolve_rule_references()
    lines = []
    # In the order of the file: referenced rules first, as backends convert them.
    for rule in collection.rules:
        rule = pipeline.apply(rule)
        if isinstance(rule, SigmaCorrelationRule):
            lines += [f"group-by {field}" for field in rule.group_by or []]
            for alias in rule.aliases:
                for reference, field in alias.mapping.items():
                    name = getattr(reference, "reference", reference)
                    lines.append(f"alias {alias.alias} {name} {field}")
            fields = rule.condition.fieldref if rule.condition else None
            lines += [f"counted {field}" for field in (fields if isinstance(fields, list) else [fields] if fields else [])]
            continue
        source = rule.logsource
        lines.append("logsource " + "/".join((part or "").lower() for part in (source.category, source.product, source.service)))
        lines += [f"field {field}" for field in rule.fields]
        lines += [f"condition {condition.condition.strip()}" for condition in rule.detection.parsed_condition]
        for name, detection in rule.detection.detections.items():
            lines.append(f"search {name} {branch(detection)}")
    # Conditions without a name have one by chance.
    return re.sub(r"\b_cond_[a-z]{10}\b", "_cond_1", "".join(line + "\n" for line in lines))


def tried(text, pipeline):
    try:
        return outline(text, ProcessingPipeline.from_yaml(pipeline))
    except Exception as error:  # whatever pySigma raises, the rule is not converted
        return f"refused {type(error).__name__} {error}"


def main():
    sigma = Path(sys.argv[1])
    everything = len(sys.argv) > 3 and sys.argv[2] == "--all"
    files = [path for folder in FOLDERS for path in sorted((sigma / folder).rglob("*.yml"))]
    chosen = files if everything else [p for n, p in enumerate(files) if n % 15 == 0 or "rules-placeholder" in p.parts]
    own = sorted((HERE / "own").glob("*.yml"))
    for path in sorted(HERE.glob("*.yml")):
        pipeline = path.read_text()
        lines = []
        for rule in own + chosen:
            text = rule.read_text()
            found = tried(text, pipeline)
            name = f"own/{rule.name}" if rule in own else re.search(r"^id: *(\S+)", text, re.M).group(1)
            if everything:
                out = Path(sys.argv[3]) / path.stem
                out.mkdir(parents=True, exist_ok=True)
                (out / name.replace("/", "_")).write_text(found)
            short = "refused" if found.startswith("refused ") else hashlib.sha256(found.encode()).hexdigest()[:16]
            lines.append(f"{name} {short}\n")
        if not everything:
            (HERE / "expected" / f"{path.stem}.txt").write_text("".join(lines))
        print(path.stem, len(lines), sum("refused" in line for line in lines))


main()
