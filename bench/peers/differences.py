#!/usr/bin/env python3
"""Where Citywatch, rsigma 0.23 and sigma-rust 0.7 differ, on recorded events and on the specification vectors.

Writes bench/results/differences.md. Needs python3-yaml, the recordings and rules of ../shared (or CITYWATCH_SHARED),
bench/peers/build.sh run before, and a release build of citywatch:

    cargo build --release --bin citywatch && bench/peers/differences.py
"""

import collections
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.environ.get("CITYWATCH_SHARED", os.path.join(os.path.dirname(PROJECT), "shared"))
CITYWATCH = os.environ.get("CITYWATCH", os.path.join(PROJECT, "target/release/citywatch"))
RSIGMA = os.path.join(HERE, "target/bin/rsigma")
SIGMA_RUST = os.path.join(HERE, "target/release/sigma-rust-differences")
SAMPLED = 3000
SEED = 20261122

# Why a peer differs on SigmaHQ's rules: cause, who is right and why. The causes are found by what the rule says.
CAUSES = {
    "placeholder": (
        "rsigma evaluates a rule whose placeholder has no value, taking `%name%` as text",
        "we are: \"If the tool isn't able to handle placeholders, it must reject the rule\" (rules: Placeholders)",
    ),
    "keyword": (
        "sigma-rust compares keywords with whole values",
        "we are, and rsigma agrees: keywords are searched \"across an entire event\" (rules: Keywords search)",
    ),
    "null": (
        "sigma-rust: an absent field is not null, so filters such as `Image: null` do not hold",
        "we are, and rsigma agrees: `not null` is written as `selection and not filter` with `PasswordLastSet: null` "
        "(rules: Special Field Values), which is meant for events without the field",
    ),
}

# Why a peer differs on the vectors, by file: what it does instead. Each vector names the section it comes from.
VECTOR_CAUSES = {
    "conditions/operators.yml": "operators in lower case only",
    "conditions/quantifiers.yml": "`_names` stay in patterns that begin with `*`, or a pattern has one star at its end",
    "filters/filters.yml": "the filter's searches are taken for the rule's; patterns in its condition do not find them",
    "modifiers/all.yml": "wildcards are lost under startswith; `|all` without a field is searched in whole values",
    "modifiers/cidr.yml": "no mapped IPv4 addresses, zones, or addresses without a prefix",
    "modifiers/compare.yml": "numbers are compared as 64-bit floats; `+1` and `inf` are numbers",
    "modifiers/encoding.yml": "offsets count characters or cut the wrong number of them; UTF-16 only before base64; no wildcards",
    "modifiers/fieldref.yml": "null equals null; lists are not looked into",
    "modifiers/neq.yml": "an absent field is not different from the value: neq is no negation, as it is in pySigma",
    "modifiers/re.yml": "the meaning is that of the regex crate, not PCRE's",
    "modifiers/time.yml": "time zones are applied; times without zone or dates alone are not read",
    "modifiers/windash.yml": "a slash or a dash other than `-` in the rule stays; a dash within a word becomes others",
    "searches/keywords.yml": "keywords are not searched in numbers",
    "searches/maps_lists.yml": "YAML's merge key is not known",
    "text/case.yml": "case folding differs beyond ASCII, or `cased` is lost on keywords",
    "text/shapes.yml": "wildcards are lost under startswith, endswith and contains; `*` stops at a line break",
    "text/wildcards.yml": "`*` and `?` stop at line breaks",
    "values/lists.yml": "lists of the event are not looked into",
    "values/null.yml": "`exists` means \"not null\"; null in a list is not found",
    "values/numbers.yml": "numbers are 64-bit floats, or text never equals a number; `0x17` is 23 only",
}


def main():
    for needed in (CITYWATCH, RSIGMA):
        if not os.path.exists(needed):
            sys.exit(f"{needed} is missing: see the top of this file")
    subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--locked", "--target-dir", os.path.join(HERE, "target")],
        cwd=os.path.join(HERE, "sigma_rust"),
        check=True,
    )
    folders = sorted(glob.glob(os.path.join(SHARED, "sigma/rules*")))
    rules = rules_by_id(folders)
    with tempfile.TemporaryDirectory() as work:
        lanes = [gather(work, "Windows recordings", "atomic/windows"), gather(work, "other recordings", "compound")]
        out = [
            "# Where we and the peers differ",
            "",
            "Written by `bench/peers/differences.py`; `rsigma` is version 0.23.0, `sigma-rust` 0.7.0.",
            f"Rules: all {len(rules)} files of SigmaHQ's six folders. Nothing differs but what is listed.",
            "",
        ]
        for lane in lanes:
            out += beside_rsigma(lane, folders, rules)
        out += beside_sigma_rust(work, lanes, folders, rules)
        out += on_vectors(work)
    target = os.path.join(PROJECT, "bench/results/differences.md")
    with open(target, "w") as file:
        file.write("\n".join(out) + "\n")
    print(target)


def rules_by_id(folders):
    """Text of each rule by its id."""
    rules = {}
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "**/*.yml"), recursive=True):
            with open(path) as file:
                text = file.read()
            rules[yaml.safe_load(text)["id"]] = text
    return rules


def gather(work, name, folder):
    """All JSON events below a folder of recordings, one per line."""
    path = os.path.join(work, folder.replace("/", "_") + ".ndjson")
    count, digest = 0, hashlib.sha256()
    with open(path, "wb") as out:
        for archive in sorted(glob.glob(os.path.join(SHARED, "events/otrf", folder, "**/*.zip"), recursive=True)):
            with zipfile.ZipFile(archive) as members:
                for member in members.namelist():
                    for line in members.open(member):
                        line = line.strip()
                        if line.startswith(b"{"):
                            out.write(line + b"\n")
                            digest.update(line + b"\n")
                            count += 1
    return {"name": name, "path": path, "events": count, "sha256": digest.hexdigest()}


def beside_rsigma(lane, folders, rules):
    """Per rule and event: `citywatch rules eval --logsource loose` and `rsigma engine eval --logsource-routing`."""
    records = collections.defaultdict(list)
    with open(lane["path"], "rb") as file:
        for number, line in enumerate(file, 1):
            records[event_key(json.loads(line))].append(number)
    ours, theirs = collections.Counter(), collections.Counter()
    command = [CITYWATCH, "rules", "eval", "--rules", *folders, "--logsource", "loose", "--output", "ndjson", lane["path"]]
    for match in ndjson(command):
        ours[match["rule_id"], match["record"]] += 1
    command = [RSIGMA, "engine", "eval", "--logsource-routing", "--quiet", "--output-format", "ndjson", "--include-event"]
    for folder in folders:
        for match in ndjson(command + ["-r", folder], lane["path"]):
            theirs[match["rule_id"], event_key(match["event"])] += 1
    # Equal events have equal matches: rsigma is told by event, we by record.
    by_event = collections.Counter()
    keys = {number: key for key, numbers in records.items() for number in numbers}
    for (rule, record), count in ours.items():
        by_event[rule, keys[record]] += count
    differing = collections.defaultdict(lambda: [0, 0])
    for rule, key in by_event.keys() | theirs.keys():
        more = by_event[rule, key] - theirs[rule, key]
        differing[rule][0 if more > 0 else 1] += abs(more)
    out = [
        f"## rsigma, {lane['name']}",
        "",
        f"{lane['events']:,} JSON events (SHA-256 of the lines {lane['sha256'][:16]}), "
        "`--logsource loose` and `--logsource-routing`, compared per rule and event.",
        f"Matches: ours {sum(ours.values()):,}, rsigma's {sum(theirs.values()):,}; "
        f"rules that match: {len({rule for rule, _ in ours})} and {len({rule for rule, _ in theirs})}.",
        "",
    ]
    rows = []
    for rule, (only_ours, only_theirs) in sorted(differing.items()):
        if only_ours or only_theirs:
            rows.append((title(rules, rule), only_ours, only_theirs, cause(rules[rule])))
    return out + table(rows, "rsigma")


def beside_sigma_rust(work, lanes, folders, rules):
    """Our reference evaluator and sigma-rust on a sample; neither looks at log sources."""
    events = os.path.join(work, "all.ndjson")
    with open(events, "wb") as out:
        for lane in lanes:
            with open(lane["path"], "rb") as file:
                out.writelines(file)
    lines = list(ndjson([SIGMA_RUST, events, str(SAMPLED), str(SEED), *folders]))
    totals = lines.pop()
    out = [
        "## sigma-rust, a sample of both recordings",
        "",
        f"{totals['events']:,} events (seed {SEED}), {totals['rules']:,} rules, our reference evaluator, no routing by log "
        f"source on either side. Matches: ours {totals['matches_ours']:,}, sigma-rust's {totals['matches_theirs']:,}.",
        "sigma-rust does not read: "
        + "; ".join(text.removeprefix("sigma-rust refuses ") for text in totals["rules_only_one_reads"] if "sigma-rust" in text)
        + f". We refuse {sum('we refuse' in text for text in totals['rules_only_one_reads'])} for placeholders without a value.",
        "",
    ]
    rows = []
    for line in lines:
        rows.append((line["title"], line["only_ours"], line["only_theirs"], cause(rules[line["rule_id"]])))
    return out + table(rows, "sigma-rust")


def on_vectors(work):
    """The peers on the vectors of rules/testdata that have events: what each gets wrong, by file."""
    out = [
        "## The specification vectors",
        "",
        "Each vector of `rules/testdata` names the section of the specification that it comes from. We pass all; here is where the",
        "peers do not, as far as they can run them (no raw text, no placeholders, one rule at a time).",
        "",
    ]
    base = os.path.join(PROJECT, "rules/testdata")
    vectors = []
    for path in sorted(glob.glob(os.path.join(base, "**/*.yml"), recursive=True)):
        with open(path) as file:
            read = yaml.safe_load(file)
        for vector in read:
            rule = rule_of(vector)
            events = [(event, True) for event in vector.get("match") or []]
            events += [(event, False) for event in vector.get("no match") or []]
            events = [(event, expected) for event, expected in events if "raw" not in event]
            if rule and events and "placeholders" not in vector:
                vectors.append((os.path.relpath(path, base), vector, rule, events))
    lines = "".join(
        json.dumps({"rule": rule, "events": [event for event, _ in events]}, default=str) + "\n" for _, _, rule, events in vectors
    )
    answers = subprocess.run([SIGMA_RUST, "vectors"], input=lines, capture_output=True, text=True, check=True).stdout
    answers = [json.loads(line) for line in answers.splitlines()]
    wrong = collections.defaultdict(lambda: ([], []))
    run = 0
    for (path, vector, rule, events), theirs in zip(vectors, answers, strict=True):
        run += 1
        expected = [expected for _, expected in events]
        if rsigma_on(work, rule, events) != expected:
            wrong[path][0].append((vector, None))
        if theirs != expected:
            wrong[path][1].append((vector, theirs))
    out.append(f"{run} vectors: rsigma fails {sum(len(two[0]) for two in wrong.values())}, "
               f"sigma-rust {sum(len(two[1]) for two in wrong.values())}.")
    out.append("")
    for path, two in wrong.items():
        out.append(f"### {path}")
        out.append("")
        if path in VECTOR_CAUSES:
            out.append(f"Mostly: {VECTOR_CAUSES[path]}.")
            out.append("")
        for peer, failed in zip(("rsigma", "sigma-rust"), two, strict=True):
            for vector, answer in failed:
                said = f": {' '.join(answer.split())[:120]}" if isinstance(answer, str) else ""
                out.append(f"- {peer}: {vector['case']} ({vector['spec']}){said}")
        out.append("")
    return out


def rule_of(vector):
    """The text of the vector's rule, if it is one."""
    head = "title: t\nid: 11111111-1111-4111-8111-111111111111\nstatus: test\nlogsource:\n  category: x\ndetection:\n"
    if "rules" in vector:
        return vector["rules"] if "\n---" not in vector["rules"] else None
    if "detection" in vector:
        return head + indented(vector["detection"], 2)
    if "search" in vector:
        return head + "  selection:\n" + indented(vector["search"], 4) + "  condition: selection\n"
    return None


def indented(text, spaces):
    return "".join(" " * spaces + line + "\n" for line in text.splitlines())


def rsigma_on(work, rule, events):
    path = os.path.join(work, "vector.yml")
    with open(path, "w") as file:
        file.write(rule)
    lines = "".join(json.dumps(event, default=str) + "\n" for event, _ in events)
    command = [RSIGMA, "engine", "eval", "-r", path, "--quiet", "--output-format", "ndjson", "--include-event"]
    answer = subprocess.run(command, input=lines, capture_output=True, text=True)
    found = {event_key(json.loads(line)["event"]) for line in answer.stdout.splitlines()}
    return [event_key(json.loads(json.dumps(event, default=str))) in found for event, _ in events]


def ndjson(command, stdin=None):
    with open(stdin or os.devnull, "rb") as file:
        process = subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in process.stdout:
            yield json.loads(line)
        process.wait()


def event_key(event):
    return hashlib.sha1(json.dumps(event, sort_keys=True).encode()).digest()


def title(rules, rule):
    return yaml.safe_load(rules[rule])["title"]


def cause(text):
    """Which known cause makes a peer differ on this rule; None is a difference to look into."""
    detection = yaml.safe_load(text)["detection"]
    searches = [search for name, search in detection.items() if name != "condition"]
    if "|expand" in text:
        return "placeholder"
    if any(isinstance(search, list) and not all(isinstance(item, dict) for item in search) for search in searches) or "'|all'" in text:
        return "keyword"
    if any(has_null(search) for search in searches):
        return "null"
    return None


def has_null(value):
    if isinstance(value, dict):
        return any(has_null(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_null(inner) for inner in value)
    return value is None


def table(rows, peer):
    if not rows:
        return ["No rule differs.", ""]
    out = [f"| rule | only ours | only {peer}'s | cause |", "|---|---|---|---|"]
    out += [f"| {name} | {ours:,} | {theirs:,} | {why or 'UNEXPLAINED'} |" for name, ours, theirs, why in rows]
    out.append("")
    for why in sorted({row[3] for row in rows if row[3]}):
        what, right = CAUSES[why]
        out.append(f"- **{why}**: {what}. Right: {right}.")
    return out + [""]


if __name__ == "__main__":
    main()
