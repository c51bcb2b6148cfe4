from __future__ import annotations

from pathlib import Path

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.files.owned_folder import OwnedFolder, at_or_below

COMMAND = "fhpt-eval bake"
OURS = at_or_below({"recipe.json", "bread", "salt.txt"})


@pytest.fixture
def folder(tmp_path: Path) -> OwnedFolder:
    folder = OwnedFolder(tmp_path / "out", COMMAND)
    folder.claim(OURS)
    folder.write_recipe({"flour": 500})
    folder.write("salt.txt", "10")
    (folder.path / "bread").mkdir()
    folder.write("bread/crumb", "soft")
    return folder


def test_what_the_command_made_is_taken_over(folder: OwnedFolder) -> None:
    (folder.path / ".DS_Store").touch()
    (folder.path / ".git" / "x").mkdir(parents=True)
    again = OwnedFolder(folder.path, COMMAND)
    again.claim(OURS)
    assert again.recipe() == {"made_by": COMMAND, "flour": 500}
    assert OwnedFolder(folder.path, "fhpt-eval roast").recipe() is None


@pytest.mark.parametrize("foreign", ["thesis.txt", "photos/", "photos/me.png", "photos/.hidden"])
def test_what_others_made_is_refused_and_named(folder: OwnedFolder, foreign: str) -> None:
    path = folder.path / foreign
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if foreign.endswith("/") else path.touch()
    named = path.parent if path.name.startswith(".") else path
    with pytest.raises(UserError) as told:
        folder.claim(OURS)
    assert str(told.value) == f"{named} was not made by `{COMMAND}`: choose a new or an empty folder with -o."


@pytest.mark.parametrize("directory", [False, True])
def test_a_link_is_refused_whatever_it_is_called(folder: OwnedFolder, tmp_path: Path, directory: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir() if directory else elsewhere.touch()
    folder.remove("salt.txt")
    (folder.path / "salt.txt").symlink_to(elsewhere)
    with pytest.raises(UserError, match=r"salt\.txt was not made by"):
        folder.claim(OURS)


def test_an_unknown_folder_has_to_be_empty_and_a_known_one_may_hold_anything_where_nothing_is_owned(
    tmp_path: Path,
) -> None:
    folder = OwnedFolder(tmp_path / "out", COMMAND)
    folder.claim(known=False)
    folder.write("notes.txt", "mine")
    folder.claim(known=True)
    with pytest.raises(UserError, match=r"notes\.txt was not made by"):
        folder.claim(known=False)


def test_looking_leaves_no_folder_behind(tmp_path: Path) -> None:
    OwnedFolder(tmp_path / "out", COMMAND).refuse_foreign(known=False)
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match=r"cannot write to .*out \(File exists\): choose another folder with -o\."):
        OwnedFolder(tmp_path / "out", COMMAND).claim(OURS)


def test_clearing_deletes_what_is_owned_but_the_recipe(folder: OwnedFolder) -> None:
    folder.write("thesis.txt", "years of work")
    (folder.path / ".hidden").touch()
    folder.clear(OURS)
    assert sorted(p.name for p in folder.path.rglob("*")) == [".hidden", "bread", "recipe.json", "thesis.txt"]


def test_only_halves_of_owned_files_are_removed(folder: OwnedFolder) -> None:
    for name in (".salt.txt.x1y2", "bread/.crumb.abc", ".thesis.txt.x1y2", ".salt"):
        folder.write(name, "half")
    folder.remove_half_written({"salt.txt", "bread/crumb"}.__contains__)
    left = sorted(p.name for p in folder.path.rglob(".*"))
    assert left == [".salt", ".thesis.txt.x1y2"]


def test_another_recipe_is_told_in_words(folder: OwnedFolder) -> None:
    before = {"flour": 500, "dough": "1f3a"}
    folder.require_same(before, {"flour": 500})
    with pytest.raises(UserError) as told:
        folder.require_same(before, {"flour": 400, "dough": "9c2b"}, "holds another loaf", {"dough": "other dough"})
    assert str(told.value) == (
        f"{folder.path} holds another loaf (flour 500 there and 400 here, other dough): choose another folder with -o,"
        " or make it again with --overwrite."
    )
