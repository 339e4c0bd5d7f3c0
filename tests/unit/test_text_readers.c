/* SPDX-License-Identifier: BSD-3-Clause */
/* The text readers on small pages of each kind, written for this test. */
#include "tests/unit/text_helper.h"

static void man_macros_leave_running_text(void **state) {
  (void)state;
  text_expect("man",
              ".\\\" a comment that is dropped\n'\\\" t\n.TH NAVIGARE 1 2024-01-01 \"\" \"User Commands\"\n.SH NAME\n"
              "navigare \\- steer the boat between two islands\n.SH DESCRIPTION OF THE BOAT\n.B navigare\nfollows the\n"
              ".I coast\nas far as\n.BR wind (7)\nallows,\nand returns.\n.PP\n"
              "It was \"written\" by\n.RI ( \"somebody else\" )\nlong ago.\n",
              "<page.1>navigare - steer the boat between two islands|DESCRIPTION OF THE BOAT|"
              "navigare follows the coast as far as wind(7) allows, and returns.|"
              "It was \"written\" by (somebody else) long ago.");
}

static void man_lists_keep_tags_with_their_text(void **state) {
  (void)state;
  text_expect("man",
              ".TP\n.BI \\-\\-course= degrees\nSet the course of the boat.\n.TQ\n.B \\-c\nThe same but shorter.\n"
              ".IP \\(bu 2\nA point that is made here.\n.IP anchor 4\nDropped when night falls.\n"
              ".TP\n.B sails\\c\n.I up\nHoist whatever is left.\n",
              "<page.1>--course=degrees\nSet the course of the boat.\n-c\nThe same but shorter.|"
              "\u2022 A point that is made here.|anchor\nDropped when night falls.|sailsup\nHoist whatever is left.");
}

static void troff_escapes_become_characters(void **state) {
  (void)state;
  text_expect("man",
              "\\fBBold\\fP \\fIitalic\\fR \\f(CWcode\\f[] \\s-2small\\s0 \\s+1large\\s0 \\h'1i'moved\\v'-.5m' text\n"
              "caf\\('e na\\[:i]ve \\[u03B1]\\[*b] \\(co \\N'65' \\(lqquoted\\(rq back\\eslash dash\\-ed\n"
              "wid\\%th zero\\&width \\m[red]colour\\m[] reg\\n(abister \\$1arg end.\\\" comment\n",
              "<page.1>Bold italic code small large moved text caf\u00E9 na\u00EFve \u03B1\u03B2 \u00A9 A "
              "\u201Cquoted\u201D back\\slash dash-ed width zerowidth colour register arg end.");
}

static void troff_conditions_strings_and_definitions(void **state) {
  (void)state;
  text_expect("man",
              ".ds BT sailing boat\n.as BT s\n.de XX\nnever printed by itself\n..\n.ig\nignored entirely\n..\n"
              ".if n Printed on terminals only.\n.if t Printed on paper only.\n"
              ".ie n \\{\\\nThe first branch is taken here.\n.\\}\n.el \\{\\\nThe second branch is not.\n.\\}\n"
              ".if !t \\{\\\n.if t \\{\\\nNested and hidden\n.\\}\nNested and shown, finally.\n.\\}\n"
              ".ie '\\*(BT'sailing boats' The strings compare as equal.\n.el They do not.\n"
              ".if \\n(.g Groff says that it is there.\n.if (1 > 2):(3 = 4) Impossible arithmetic.\n"
              ".if 2*3>5 Possible arithmetic is shown.\n"
              "All \\*(BT and \\*[BT] are here.\n.XX with its arguments\n.YY unknown macros vanish\n",
              "<page.1>Printed on terminals only. The first branch is taken here. Nested and shown, finally. "
              "The strings compare as equal. Groff says that it is there. Possible arithmetic is shown. "
              "All sailing boats and sailing boats are here. with its arguments");
}

static void troff_tables_equations_and_listings(void **state) {
  (void)state;
  text_expect(
      "man",
      "Text before the table comes.\n.TS\nl l.\nshould\tvanish\n.TE\n.EQ\nx sup 2\n.EN\nText behind it goes on.\n"
      ".nf\nint main(void)\n    returns a value\n.fi\nFilled lines are\njoined again.\n.br\nAfter a break here.\n"
      "  An indented line breaks too.\nLong line con\\\ntinued on the next.\n",
      "<page.1>Text before the table comes. Text behind it goes on.\nint main(void)\nreturns a value\n"
      "Filled lines are joined again.\nAfter a break here.\nAn indented line breaks too. "
      "Long line continued on the next.");
}

static void troff_links_and_sources(void **state) {
  (void)state;
  text_expect("man", ".so man2/open.2\n", "");
  text_expect("man",
              "Charts are found at\n.UR https://charts.example/\nthe harbour office\n.UE .\nOr write to\n"
              ".MT pilot@harbour.example\n.ME ,\nwho may answer.\n",
              "<page.1>Charts are found at the harbour office. Or write to pilot@harbour.example, who may answer.");
}

static void pod2man_pages_are_readable(void **state) {
  (void)state;
  text_expect("man",
              ".de Sp\n.if t .sp .5v\n.if n .sp\n..\n.de Vb\n.ft CW\n.nf\n.ne \\\\$1\n..\n"
              ".tr \\(*W-\n.ds C+ C\\v'-.1v'\\h'-1p'\\s-2+\\h'-1p'+\\s0\\v'.1v'\\h'-1p'\n.ie n \\{\\\n.    ds -- "
              "\\(*W-\n'br\\}\n"
              ".el\\{\\\n.    ds -- \\|\\(em\\|\n'br\\}\n.ie \\n(.g .ds Aq \\(aq\n.el       .ds Aq '\n"
              ".SH \"NAME OF THE PROGRAM\"\n.IX Header \"NAME\"\nWritten in \\*(C+, don\\*(Aqt worry.\n.Vb 2\n"
              "\\&  my $boat = launch();\n.Ve\n.Sp\nThe end of this page.\n",
              "<page.1>NAME OF THE PROGRAM|Written in C++, don't worry.\nmy $boat = launch();|The end of this page.");
}

static void mdoc_macros_leave_running_text(void **state) {
  (void)state;
  text_expect(
      "man",
      ".Dd January 1, 2024\n.Dt SAIL 1\n.Os\n.Sh NAME\n.Nm sail\n.Nd move a boat by wind\n.Sh SYNOPSIS\n.Nm\n"
      ".Op Fl av\n.Op Fl course Ar degrees\n.Ar\n.Sh DESCRIPTION OF IT\nThe\n.Nm\nutility obeys\n.Xr wind 7 ,\nand "
      "calls\n"
      ".Fn hoist \"int sails\" height .\n.Pp\nSee\n.Dq Em the book\nor\n.Pq Pa /etc/boat ;\nnot\n.Fl Fl help\n.Ns =all "
      ".\n"
      ".Bl -tag -width Ds\n.It Fl a\nUse all of the sails.\n.It Xo\n.Fl c Ns Ar x\n.Xc\nKeep the course.\n.El\n"
      ".Bd -literal\nfirst line here\nsecond line here\n.Ed\n.Oo Ar one Oc and\n.Ux\nsystems.\n",
      "<page.1>sail \u2013 move a boat by wind|sail [-av] [-course degrees] file ...|DESCRIPTION OF IT|"
      "The sail utility obeys wind(7), and calls hoist(int sails, height).|"
      "See \u201Cthe book\u201D or (/etc/boat); not --help =all.|-a\nUse all of the sails.|"
      "-cx Keep the course.|first line here\nsecond line here\n[one] and UNIX systems.");
}

static void pod_leaves_its_text(void **state) {
  (void)state;
  text_expect("pod",
              "my $code = 'is not documentation';\n\n=pod\n\n=encoding utf8\n\n=head1 Sailing by night\n\n"
              "Use B<lamps> and C<< $x->{y} > 1 >>, I<never> F<fire>; see L<the chart|perlfunc/open>,\nL<perlop>, "
              "L<perlre/\"Groups\">,"
              " L<http://x.example/>. E<lt>tagE<gt> E<233>t\u00E9X<index>.\n\n=over 4\n\n=item * \n\nA bullet of the "
              "list here.\n\n"
              "=item anchor NAME\n\nWhat an anchor does.\n\n=back\n\n=begin html\n\n<p>Not for readers of "
              "text.</p>\n\n=end html\n\n"
              "=for comment Not for readers either.\n\n    indented();\n\n    stays();  # as it is "
              "written\n\n=cut\n\nmore_code_here();\n\n"
              "=head2 At last the end of it",
              "<page.1>Sailing by night|Use lamps and $x->{y} > 1 , never fire; see the chart, perlop, Groups, "
              "http://x.example/. <tag> \u00E9t\u00E9.|A bullet of the list here.|anchor NAME\nWhat an anchor does.|"
              "indented();\nstays(); # as it is written|At last the end of it");
}

static void fortunes_are_documents(void **state) {
  (void)state;
  text_expect("fortunes",
              "A sailor's luck is short.\n\t\t-- anonymous\n%\nToo short.\n%\n_\bU_\bnderstruck letters "
              "here.\n%\n%%\nThe last has no mark",
              "<page.1/1>A sailor's luck is short.\n-- anonymous<page.1/3>Understruck letters here."
              "<page.1/5>The last has no mark");
}

static void plain_text_by_chapters_and_pieces(void **state) {
  (void)state;
  text_expect("plain", "One paragraph\nof two lines.\n\n  indented\n- listed items here\n",
              "<page.1>One paragraph of two lines.|indented\n- listed items here");
  text_expect(
      "plain",
      "THE TITLE OF THE BOOK\n\nCHAPTER I\n\nIt begins with rain.\n\nChapter II. Of winds\n\nIt goes on with storms.\n"
      "Chapter 11 was never written, he said.\n",
      "<page.1>THE TITLE OF THE BOOK<page.1/1>It begins with rain.<page.1/2>Chapter II. Of winds|"
      "It goes on with storms. Chapter 11 was never written, he said.");
  at_bytes text = {0};
  for (int i = 0; i < 3000; i++) {
    char line[64];
    snprintf(line, sizeof line, "Paragraph number %d of a long file.\n\n", i);
    at_bytes_str(&text, line);
  }
  char *found = text_read("plain", text.data, text.len);
  assert_non_null(strstr(found, "<page.1/1>Paragraph number 0 of"));
  assert_non_null(strstr(found, "<page.1/6>"));
  assert_non_null(strstr(found, "|Paragraph number 2999 of a long file."));
  assert_null(strstr(found, "<page.1/8>"));
  free(found);
  at_bytes_free(&text);
}

static void markup_is_stripped(void **state) {
  (void)state;
  text_expect(
      "markup",
      "<!DOCTYPE html><html><head><title>no</title></head><body><!-- <p>hidden</p> --><h1>The Old Harbour Wall</h1>"
      "<p class=\"a>b\">Boats &amp; <b>bo</b>ats &lt;3 &#xe9;&#233; a &nosuch; b</p><script>if (a < b) {}</script>"
      "<pre>code block</pre><ul><li>the first item<li>the second item</ul>line<br/>break in a text 1 < 2<![CDATA[ & "
      "more]]>"
      "</body></html><p",
      "<page.1>The Old Harbour Wall|Boats & boats <3 \u00E9\u00E9 a &nosuch; b|"
      "line\nbreak in a text 1 < 2 & more");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(man_macros_leave_running_text),
      cmocka_unit_test(man_lists_keep_tags_with_their_text),
      cmocka_unit_test(troff_escapes_become_characters),
      cmocka_unit_test(troff_conditions_strings_and_definitions),
      cmocka_unit_test(troff_tables_equations_and_listings),
      cmocka_unit_test(troff_links_and_sources),
      cmocka_unit_test(pod2man_pages_are_readable),
      cmocka_unit_test(mdoc_macros_leave_running_text),
      cmocka_unit_test(pod_leaves_its_text),
      cmocka_unit_test(fortunes_are_documents),
      cmocka_unit_test(plain_text_by_chapters_and_pieces),
      cmocka_unit_test(markup_is_stripped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
