#!/usr/bin/env python3
"""The report in a real browser: usage: browser_test.py MDNLAB [FOLDER FOR PICTURES]

Skipped (exit 77) where no Chromium is found.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import chromium  # noqa: E402 (beside this file)

FOLDER = pathlib.Path(__file__).resolve().parent
SIZES = {'desktop': (1280, 900), 'phone': (390, 844)}

# What is wider than the page without a box of its own that scrolls.
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(e => {
  if (e.getBoundingClientRect().right <= document.documentElement.clientWidth + 1) return false;
  for (let p = e.parentElement; p; p = p.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
  return !e.closest('svg') || e.tagName === 'svg';
}).map(e => e.tagName + '.' + e.className).slice(0, 5).join(' ')"""

# Words of a figure that lie outside of it.
WORDS_OUTSIDE = """[...document.querySelectorAll('.panel svg')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(t => {
    const r = t.getBoundingClientRect();
    return r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1;
  }).map(t => t.textContent);
}).slice(0, 5).join(' | ')"""

# Words of a figure that lie over one another.
WORDS_OVER_WORDS = """[...document.querySelectorAll('.panel svg')].flatMap(svg => {
  const words = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  return words.flatMap(([a, r], i) => words.slice(i + 1).filter(([, s]) =>
    Math.min(r.right, s.right) > Math.max(r.left, s.left) + 1 && Math.min(r.bottom, s.bottom) > Math.max(r.top, s.top) + 2)
    .map(([b]) => a + ' over ' + b));
}).slice(0, 5).join(' | ')"""


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.pictures = PICTURES or cls.folder
        cls.browser = chromium.Browser(PROGRAM)

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.temporary.cleanup()

    def page(self, name, *options, peers=True):
        database = self.folder / f'{name}.db'
        subprocess.run([sys.executable, FOLDER / 'make_database.py', database, *options], check=True)
        page = self.folder / f'{name}.html'
        words = [MDNLAB, 'report', '--db', database, '-o', page]
        if peers:
            words += ['--peers', FOLDER.parents[1] / 'experiments' / 'data' / 'peers.csv']
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        return page

    def see(self, page, size, scheme):
        self.browser.open(page.as_uri(), *SIZES[size], scheme)
        self.browser.picture(self.pictures / f'{page.stem}-{size}-{scheme}.png')
        self.assertEqual(self.browser.problems, [])
        self.assertEqual(self.browser.requests, [page.as_uri()], 'the page is self-contained')
        self.assertEqual(self.browser.value(TOO_WIDE), '')
        self.assertLessEqual(self.browser.value('document.documentElement.scrollWidth'), SIZES[size][0])
        self.assertEqual(self.browser.value(WORDS_OUTSIDE), '')
        self.assertEqual(self.browser.value(WORDS_OVER_WORDS), '')

    def test_every_size_and_scheme(self):
        page = self.page('results', '--runs', '120')  # at two learning rates
        for size in SIZES:
            for scheme in ['light', 'dark']:
                with self.subTest(size=size, scheme=scheme):
                    self.see(page, size, scheme)
        sections = self.browser.value("[...document.querySelectorAll('section')].map(s => s.id).join(' ')")
        self.assertEqual(sections, 'leaderboard rates retention influence needles scores loss position stability kernels'
                                   ' failures configurations queries')
        self.assertGreater(self.browser.value("document.querySelectorAll('.panel svg').length"), 20)
        dead = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
        self.assertEqual(self.browser.value(dead), 0)

    def test_markup_from_outside_is_text(self):
        page = self.page('hostile', '--runs', '36', '--hostile')
        self.see(page, 'phone', 'light')
        self.assertEqual(self.browser.value("document.querySelectorAll('script, section script').length"), 0)
        self.assertIn('<script>document.body.remove()</script>', self.browser.value('document.body.textContent'))

    def test_an_empty_database_says_what_to_run(self):
        page = self.page('empty', '--empty', peers=False)
        self.see(page, 'phone', 'light')
        self.assertIn('mdnlab run experiments/quickstart.yaml', self.browser.value('document.body.innerText'))

    def test_it_prints(self):
        page = self.page('printed', '--runs', '18')
        paper = (1030, 700)  # A4 across, less its margins
        self.browser.open(page.as_uri(), *paper, 'dark', media='print')
        self.assertLessEqual(self.browser.value('document.documentElement.scrollWidth'), paper[0])
        self.assertEqual(self.browser.value('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
        self.browser.print_to(self.pictures / 'printed.pdf')
        self.assertTrue((self.pictures / 'printed.pdf').read_bytes().startswith(b'%PDF'))


if __name__ == '__main__':
    MDNLAB = pathlib.Path(sys.argv.pop(1)).resolve()
    PICTURES = pathlib.Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else None
    PROGRAM = chromium.find()
    if PROGRAM is None:
        print('skipped: no Chromium found; `apt-get install chromium`, or name one in the variable CHROMIUM')
        sys.exit(77)
    unittest.main()
