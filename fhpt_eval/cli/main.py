"""The command's entry: sub-commands, and what becomes of errors."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from fhpt_eval._version import __version__
from fhpt_eval.cli import (
    audit,
    cache,
    compare,
    data,
    demo,
    dialects,
    doctor,
    generate,
    leaderboard,
    pack,
    plot,
    protocols,
    reference,
    report,
    run,
    synth,
    train,
    train_drn,
    verify,
    weights,
)
from fhpt_eval.cli.screen import on_screen
from fhpt_eval.cli.shared import BUG, DONE, INTERRUPTED, WRONG_USE
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import NO_ROOM
from fhpt_eval.libraries import explained
from fhpt_eval.memory import no_memory_for
from fhpt_eval.text import without_secrets

# Newer typers carry a click of their own: ask typer which one its errors come from.
ClickException: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


_INTERRUPTED = "interrupted; what was done is kept, the same command goes on from there."
_KEEP_NOTHING = {"audit", "cache export", "compare", "leaderboard", "pack", "plot", "report"}
"""Commands of which the same words begin again."""

_OBJECTS = 100_000
"""How many more there are each time Python looks for cycles."""

_SHOW_CURSOR = b"\x1b[?25h"

app = typer.Typer(
    name="fhpt-eval",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done · 1 a bug · 2 wrong use · 3 done in part, what is missing was named · 130 stopped.",
)
app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("audit")(audit.audit)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("compare")(compare.compare)
app.command("verify")(verify.verify)
app.command("pack")(pack.pack)
app.command("report")(report.report)
app.command("generate")(generate.generate)
app.command("synth")(synth.synth)
app.command("protocols")(protocols.protocols)
app.command("doctor")(doctor.doctor)
app.add_typer(dialects.app, name="dialects")
app.add_typer(plot.app, name="plot")
app.add_typer(data.app, name="data")
train.app.command("drn")(train_drn.drn)
app.add_typer(train.app, name="train")
app.add_typer(weights.app, name="weights")
app.add_typer(reference.app, name="reference")
app.add_typer(cache.app, name="cache")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"fhpt-eval {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evaluate images of people that a model has put into a new pose.

    Start with: fhpt-eval demo -o demo, or fhpt-eval run --generated DIR --target DIR
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; exit with a code that scripts can trust."""
    # Pairs and records are many and hold no cycles: Python need not look through all of them again and again.
    gc.set_threshold(_OBJECTS)
    in_main_thread = threading.current_thread() is threading.main_thread()
    # A shell that starts what runs in the background has Ctrl-C ignored, which stays so.
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    with on_screen():
        code = _code_of(arguments)
    sys.exit(code)


def _code_of(arguments: Sequence[str] | None) -> Any:
    words = sys.argv[1:] if arguments is None else [*arguments]
    try:
        _refuse_empty(words)
        # Commands find their line in the context, for what they record.
        code = app(args=words, prog_name="fhpt-eval", standalone_mode=False, obj=["fhpt-eval", *words])
        sys.stdout.flush()
        if code == INTERRUPTED:
            # Newer typers turn Ctrl-C into this code, older ones raise Abort.
            _say(_interrupted(words))
    except ClickException as error:
        context = error.ctx
        command = context.command_path if context is not None else "fhpt-eval"
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            sentence = error.format_message().rstrip(".")
            _say(f"{sentence}{'' if sentence.endswith('?') else '.'} See `{command} --help`.")
        code = WRONG_USE
    except UserError as error:
        _say(str(error))
        code = WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        _say(_interrupted(words))
        code = INTERRUPTED
    except BrokenPipeError:
        code = _forget_output()
    except SystemExit as stop:
        # typer and rich make of a broken pipe an exit with 1, which is ours for a bug.
        code = _forget_output() if isinstance(stop.__context__, BrokenPipeError) else stop.code
    except Exception as error:  # noqa: BLE001 - the last resort
        code = _unexpected(error)
    return code or DONE


def _interrupted(words: Sequence[str]) -> str:
    return "interrupted." if {*words[:1], " ".join(words[:2])} & _KEEP_NOTHING else _INTERRUPTED


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an argument without text, as an unset shell variable gives it: as a path it means the current folder.

    Raises:
        UserError: There is one.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option, equals, value = argument.partition("=")
        if not argument or (option.startswith("--") and equals and not value):
            what = option or (before if before.startswith("-") else "an argument")
            raise UserError(f"{what} '' is empty, as an unset shell variable is: fill it in, or leave it out.")


def _interrupt(_number: int, _frame: object) -> None:
    """End in order; a second Ctrl-C ends the process at once, whatever it waits for, and its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)  # which a progress bar hides
    raise KeyboardInterrupt


def _forget_output() -> int:
    """Keep Python from complaining on the way out that nobody reads any more (`| head`), or that the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _unexpected(error: Exception) -> int:
    if isinstance(told := no_memory_for("this command", error) or explained(error), UserError):
        _say(str(told))
        return WRONG_USE
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        _forget_output()
        _say(f"the output cannot be written ({error.strerror}): free some room and run the same command again.")
        return WRONG_USE
    if isinstance(error, OSError) and error.filename is not None:
        _say(f"{error.filename}: {error.strerror}; check the path and its permissions.")
        return WRONG_USE
    traceback.print_exception(error)
    _say(f"this is a bug in fhpt-eval {__version__}; please report the lines above.")
    return BUG


def _say(sentence: str) -> None:
    # What is wrong with a word of the command line is told with the word, which may be an address.
    print(f"fhpt-eval: {without_secrets(' '.join(sentence.splitlines()))}", file=sys.stderr)
