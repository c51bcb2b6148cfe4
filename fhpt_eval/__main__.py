"""``python -m fhpt_eval``."""

from fhpt_eval.cli.main import main

if __name__ == "__main__":
    main()
