"""Tests comment_width.py."""

import unittest

import comment_width


class CommentWidthTest(unittest.TestCase):
    def test_too_wide(self):
        word = "x" * 50
        for text, want in [
            (f"// {word} {'x' * 46}\n", []),
            (f"// {word} {'x' * 47}\n", [1]),
            (f"\t// {word} {'x' * 42}\n", []),
            (f"package a\n\t// {word} {'x' * 43}\n", [2]),
            (f"// https://{word}{word}\n", []),
            (f"a := 1 // {word} {word}\n", []),
            (f"// Output:\n// {word} {word}\n", []),
            (f"// Output:\n}}\n// {word} {word}\n", [3]),
        ]:
            with self.subTest(text):
                self.assertEqual(comment_width.too_wide(text), want)


if __name__ == "__main__":
    unittest.main()
