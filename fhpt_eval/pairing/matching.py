"""Which generated files belong to which pair, by names alone: from folders, or from a list."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from fhpt_eval.errors import UserError
from fhpt_eval.pairing.conventions import count_fitting, detect_convention
from fhpt_eval.pairing.folders import Folders, file_name
from fhpt_eval.pairing.lists import ListedPair, PairList
from fhpt_eval.pairing.naming import Gender, Naming, one_spelling, picture_key, without_suffix


@dataclass(slots=True)
class NamedPair:
    """A pair before the files of its target and source are looked up.

    Attributes:
        pair: As :attr:`fhpt_eval.pairing.rows.Pair.pair`.
        target: Name to look for, as written; empty where it is not known.
        source: As ``target``.
        same_name: Whether target and source are at the same relative path, so that no other file may stand for them.
        item: As listed; empty where it is not.
        item_colour: As ``item``.
        gender: As listed; None where it is not.
        view: As listed; empty where it is not.
        row: Of the list; 0 without one.
        files: Generated files that claim to be this pair, as relative posix paths; one if all is well.
    """

    pair: str
    target: str
    source: str
    same_name: bool = False
    item: str = ""
    item_colour: str = ""
    gender: Gender | None = None
    view: str = ""
    row: int = 0
    files: list[str] = field(default_factory=list)


@dataclass
class NamedPairs:
    """The pairs of an evaluation by their names, and the phrases of the report about what did not fit.

    Attributes:
        convention: The naming convention used; None where a list names every file.
        pairs: By :attr:`NamedPair.pair`.
        extra: As :attr:`fhpt_eval.pairing.rows.PairReport.extra`.
        ambiguous: As :attr:`fhpt_eval.pairing.rows.PairReport.ambiguous`, as far as names tell.
        duplicate: As :attr:`fhpt_eval.pairing.rows.PairReport.duplicate`.
    """

    convention: Naming | None
    pairs: dict[str, NamedPair] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)

    def add(self, new: NamedPair) -> NamedPair:
        """Return the pair of that identity: ``new``, unless there was one before."""
        return self.pairs.setdefault(new.pair, new)


def match_folders(folders: Folders, convention: Naming | None) -> NamedPairs:
    """Take every generated file as a pair.

    Args:
        folders: Where the images are.
        convention: How generated files are named; None to detect it.

    Raises:
        UserError: The convention cannot be told.
    """
    files = folders.generated.files
    used = convention or detect_convention(folders, lambda tried: count_fitting(tried, files, folders))
    return _match_two_names(folders, used) if used.separator else _match_same_names(folders, used)


def match_list(listed: PairList, folders: Folders, convention: Naming | None) -> NamedPairs:
    """Take every row of a list as a pair.

    Args:
        listed: The list.
        folders: Where the images are.
        convention: How generated files are named; None to detect it where the list leaves out names.

    Raises:
        UserError: The convention, or the order of names without a header, cannot be told, or two rows contradict each
            other.
    """
    if not listed.headed:
        return _match_either_order(listed, folders, convention)
    if "generated" in listed.columns:
        return _match_listed_files(listed, folders, convention)
    return _match_listed_names(listed, folders, convention)


def _match_same_names(folders: Folders, convention: Naming) -> NamedPairs:
    found = NamedPairs(convention)
    for file in folders.generated.files:
        named = NamedPair(_same_name(file, folders), target=file, source=file, same_name=True)
        found.add(named).files.append(file)
    if folders.target:
        met = {hit for named in found.pairs.values() for hit in folders.target.find_same(named.target)}
        for file in folders.target.files:
            if file not in met:
                found.add(NamedPair(without_suffix(one_spelling(file)), target=file, source=file, same_name=True))
    return found


def _match_two_names(folders: Folders, convention: Naming) -> NamedPairs:
    found = NamedPairs(convention)
    for file in folders.generated.files:
        splits = _splits(convention, file, folders)
        if len(splits) == 1:
            source, target = splits[0]
            found.add(NamedPair(_two_names(source, target), target, source)).files.append(file)
        elif splits:
            found.ambiguous.append(f"{file}: its name can be split into source and target in {len(splits)} ways")
        else:
            found.extra.append(f"{file}: not named as '{convention.name}'")
    return found


def _match_listed_names(listed: PairList, folders: Folders, convention: Naming | None) -> NamedPairs:
    """Match ``from,to``: the list says which pairs there are, generated files are found by their names."""
    found = NamedPairs(convention)
    # Generated files rarely repeat the folders of listed names.
    by_names: dict[tuple[str, str], list[NamedPair]] = defaultdict(list)
    by_target: dict[str, list[NamedPair]] = defaultdict(list)
    for row in listed.pairs:
        named = _from_row(row, _two_names(row.source, row.target), row.target, row.source)
        first = found.add(named)
        if first is named:
            source, target = picture_key(row.source), picture_key(row.target)
            by_names[file_name(source), file_name(target)].append(named)
            by_target[target].append(named)
        else:
            found.duplicate.append(_listed_twice(named, first))

    def candidates(tried: Naming, file: str) -> list[NamedPair]:
        if not tried.separator:
            return by_target.get(picture_key(file), [])
        keys = ((picture_key(source), picture_key(target)) for source, target in tried.splits(file))
        return [named for key in keys for named in by_names.get(key, ())]

    files = folders.generated.files
    used = convention or detect_convention(folders, lambda tried: sum(bool(candidates(tried, file)) for file in files))
    found.convention = used
    for file in files:
        fitting = candidates(used, file)
        if len(fitting) == 1:
            fitting[0].files.append(file)
        elif fitting:
            found.ambiguous.append(f"{file}: fits {len(fitting)} listed pairs, {fitting[0].pair} and {fitting[1].pair}")
        else:
            found.extra.append(f"{file}: not a listed pair")
    return found


def _match_either_order(listed: PairList, folders: Folders, convention: Naming | None) -> NamedPairs:
    """Match lines of two names in the order in which generated files fit more of them."""
    fitting: list[tuple[int, NamedPairs]] = []
    errors = []
    for order in (listed, listed.swapped()):
        try:
            found = _match_listed_names(order, folders, convention)
        except UserError as error:
            errors.append(error)
        else:
            fitting.append((sum(bool(named.files) for named in found.pairs.values()), found))
    if not fitting:
        raise errors[0]
    (most, best), *others = sorted(fitting, key=lambda each: each[0], reverse=True)
    # A list with each pair both ways is the same list in either order.
    if most and any(count == most and found.pairs.keys() != best.pairs.keys() for count, found in others):
        raise listed.wants_header
    return best


def _match_listed_files(listed: PairList, folders: Folders, convention: Naming | None) -> NamedPairs:
    """Match ``generated,…``: the list names the files; a convention supplies names that it leaves out."""
    names_all = "target" in listed.columns and (folders.source is None or "source" in listed.columns)
    if not (convention or names_all):
        files = [row.generated for row in listed.pairs]
        convention = detect_convention(folders, lambda tried: count_fitting(tried, files, folders))

    found = NamedPairs(convention)
    used: set[str] = set()
    for row in listed.pairs:
        named = _from_file_row(row, folders, convention)
        hits = folders.generated.find(row.generated)
        used.update(hits)
        first = found.add(named)
        if first is not named:
            if (first.target, first.source) != (named.target, named.source):
                raise UserError(
                    f"{listed.where(row.row)}: '{row.generated}' has other names in row {first.row}; "
                    "keep one of the two rows."
                )
            if set(hits) <= set(first.files):
                found.duplicate.append(_listed_twice(named, first))
        first.files.extend(hit for hit in hits if hit not in first.files)
    found.extra.extend(f"{file}: not listed" for file in folders.generated.files if file not in used)
    return found


def _from_file_row(row: ListedPair, folders: Folders, convention: Naming | None) -> NamedPair:
    """Return the pair of a row that names its generated file; the convention fills in what the row leaves out."""
    file, source, target = row.generated, row.source, row.target
    if convention and convention.separator:
        splits = _splits(convention, file, folders)
        if len(splits) == 1:
            source, target = source or splits[0][0], target or splits[0][1]
    elif convention and not target:
        return _from_row(row, _same_name(file, folders), file, source or file, same_name=True)
    return _from_row(row, pair_id(file, source, target), target, source)


def _from_row(row: ListedPair, pair: str, target: str, source: str, *, same_name: bool = False) -> NamedPair:
    return NamedPair(pair, target, source, same_name, row.item, row.item_colour, row.gender, row.view, row.row)


def _listed_twice(second: NamedPair, first: NamedPair) -> str:
    return f"row {second.row}: {second.pair} is listed in row {first.row} already"


def _same_name(file: str, folders: Folders) -> str:
    """Return the identity of a pair whose generated image has its target's name: the target's, where it is there."""
    hits = folders.target.find_same(file) if folders.target else ()
    return without_suffix(one_spelling(hits[0] if hits else file))


def pair_id(file: str, source: str, target: str) -> str:
    """Return the identity of a pair whose names are told; source and target may be empty."""
    return _two_names(source, target) if source and target else picture_key(file)


def _two_names(source: str, target: str) -> str:
    return f"{picture_key(source)}__{picture_key(target)}"


def _splits(convention: Naming, file: str, folders: Folders) -> tuple[tuple[str, str], ...]:
    """Return the (source, target) names of a generated file: none, the one, or several that cannot be told apart."""
    splits = convention.splits(file)
    if len(splits) > 1:
        known = tuple(split for split in splits if folders.have(*split))
        if known:
            return known
    by_rule = convention.parse(file)
    return (by_rule,) if by_rule else ()
