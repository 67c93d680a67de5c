"""What it came to: for people, and as JSON."""

from ledger import HEALED_WITHIN, HINT_SECONDS, Ledger


def summary(ledger: Ledger, censuses, faults, drained_badly, crashed, max_pause):
    """The ledger's figures. `censuses` is what each node has, by its letter: UID, key, soundness."""
    first = next(iter(censuses.values()))
    kept = [key for _, key, _ in first]
    lost, doubled, strangers = ledger.copies(kept)
    delays = list(ledger.hint_delays(kept))
    late = [(seconds, at) for seconds, _, at in delays if seconds > HINT_SECONDS]
    never = [seconds for seconds, told, _ in delays if not told and seconds > HEALED_WITHIN]
    mails = ledger.mails.values()
    acknowledged = [m for m in mails if m.acknowledged_at is not None]
    corrupt = ledger.corrupt + [f"UID {uid} ({key})" for uid, key, intact in first if not intact]
    counts = {
        "sent": len(mails),
        "attempts": sum(m.attempts for m in mails),
        "acknowledged": len(acknowledged),
        "acknowledged_at_first_attempt": sum(m.attempts == 1 for m in acknowledged),
        "present": len(set(kept) & {k for k, m in ledger.mails.items() if m.acknowledged_at is not None}),
        "messages": len(kept),
        "copies_of_unknown_outcome": len(kept) - len(set(kept)) - sum(doubled.values()),
        "lost": len(lost),
        "doubled": sum(doubled.values()),
        "longest_pause_ms": round(max(ledger.pauses.values(), default=0) * 1000),
        "pause_ms_by_client": {client: round(s * 1000) for client, s in sorted(ledger.pauses.items())},
        "hints": len(delays),
        "hints_lost": len(late),
        "hint_p50_ms": round(sorted(s for s, *_ in delays)[len(delays) // 2] * 1000) if delays else 0,
        "hint_healed_ms_max": round(max((s for s, _ in late), default=0) * 1000),
        "late_hints_by_fault": by_fault(late, faults),
        "healed_errors": sum(ledger.troubles.values()),
        "looks": ledger.looks,
        "reads_verified": ledger.verified,
    }
    findings = {
        "lost": [f"{key}: acknowledged {when(ledger.mails[key].acknowledged_at, faults)}" for key in lost],
        "doubled": [f"{key}: {count} too many" for key, count in doubled.items()],
        "never_sent": strangers,
        "corrupt": corrupt,
        "out_of_order": ledger.disorder,
        "uidvalidity": [str(v) for v in ledger.uidvalidities] if len(ledger.uidvalidities) > 1 else [],
        "nodes_disagree": [n for n, found in censuses.items() if found != first],
        "unhealed_errors": ledger.unhealed,
        "paused_too_long": [f"{client}: {s:.1f} s" for client, s in ledger.pauses.items() if s > max_pause],
        "never_told": [f"an idling session was not told for {s:.1f} s" for s in never],
        "drained_badly": drained_badly,
        "ended_by_itself": crashed,
        "nothing_sent": [] if acknowledged else ["no mail was acknowledged"],
    }
    findings = {what: found for what, found in findings.items() if found}
    return {**counts, "clean": not findings, "findings": findings, "faults": faults}


def when(at, faults):
    """A time as it is of use: after which fault."""
    before = [f for f in faults if f["at"] <= at]
    return f"{at - before[-1]['at']:.3f} s after {before[-1]['fault']} began" if before else "before any fault"


def by_fault(late, faults):
    """What was last done before a mail whose hint was late: how many, and the longest in ms."""
    found = {}
    for seconds, at in late:
        fault = next((f["fault"] for f in reversed(faults) if f["at"] <= at + seconds), "none")
        count, longest = found.get(fault, (0, 0))
        found[fault] = (count + 1, max(longest, round(seconds * 1000)))
    return found


def text(result, options):
    """For people."""
    lines = [f"seed {options.seed}, {options.seconds} s" + (", UNSAFE" if options.unsafe else ""), ""]
    for fault in result["faults"]:
        lines.append(f"  {fault['at'] - options.began:6.1f} s  {fault['detail']}")
    if result["faults"]:
        lines.append("")
    for name, value in result.items():
        if name not in ("findings", "faults", "clean", "pause_ms_by_client", "late_hints_by_fault"):
            lines.append(f"  {name.replace('_', ' '):<30} {value:>8}")
    lines += ["", "  longest pause by client"]
    lines += [f"    {client:<28} {ms:>8} ms" for client, ms in result["pause_ms_by_client"].items()]
    lines += ["", "  late hints by the last fault before"]
    lines += [f"    {fault:<28} {n:>4}, longest {ms} ms" for fault, (n, ms) in result["late_hints_by_fault"].items()]
    for what, found in result["findings"].items():
        lines += ["", f"  {what.replace('_', ' ')}: {len(found)}", *(f"    {f}" for f in found[:20])]
    lines += ["", "CLEAN" if result["clean"] else "NOT CLEAN"]
    return "\n".join(lines)
