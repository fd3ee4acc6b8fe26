package web

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func TestAFormSaysCriteria(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ form, criteria, says string }{
		{"category=promotions&older=90", `{"all":[{"category":"promotions"},{"older_than_days":90}]}`, "in Promotions and older than 90 days"},
		{"category=promotions&category=social", `{"all":[{"any":[{"category":"promotions"},{"category":"social"}]}]}`, "in Promotions or in Social"},
		{"from=a@shop.example, @deals.example&not_from=@bank.example", `{"all":[{"any":[{"from":"a@shop.example"},{"from":"@deals.example"}]},{"not":{"from":"@bank.example"}}]}`,
			"(from a@shop.example or from @deals.example) and not (from @bank.example)"},
		{"larger_mb=10&unread=1&attachment=1&in=inbox", `{"all":[{"larger_than":10000000},{"unread":true},{"has_attachment":true},{"in":"inbox"}]}`,
			"larger than 10 MB and unread and with an attachment and in the inbox"},
		{"older=1&subject= Sale ", `{"all":[{"subject":"Sale"},{"older_than_days":1}]}`, "subject has “Sale” and older than 1 day"},
		{`criteria={"not":{"unread":true}}&older=5`, `{"not":{"unread":true}}`, "not (unread)"},
	} {
		form, err := url.ParseQuery(c.form)
		require.NoError(t, err)
		got, err := criteriaOf(form)
		require.NoError(t, err, c.form)
		raw, err := got.MarshalJSON()
		require.NoError(t, err)
		require.JSONEq(t, c.criteria, string(raw), c.form)
		require.Equal(t, c.says, describe(got), c.form)
	}
}

func TestAFormThatSaysNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "older=", "older=0", "older=-1", "older=1.5", "older=x", "larger_mb=99999999999", "category=spam", "from=no%20%2C", "criteria={}", "criteria=[]", `criteria={"from":1}`, "in=trash"} {
		form, err := url.ParseQuery(text)
		require.NoError(t, err)
		_, err = criteriaOf(form)
		require.Contains(t, []sweep.Code{sweep.Invalid, sweep.BadRequest}, sweep.CodeOf(err), text)
	}
}

// Whatever a stranger writes into an address, a sign-in leads to a page of ours.
func TestASignInNeverLeadsElsewhere(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/history": "/history", "/plans/pln_1?cursor=2": "/plans/pln_1?cursor=2", "": "/mailboxes", "history": "/mailboxes", "//evil.example": "/mailboxes", "/\\evil.example": "/mailboxes",
		"https://evil.example/": "/mailboxes", "javascript:alert(1)": "/mailboxes", "/%0d%0aSet-Cookie:x": "/%0d%0aSet-Cookie:x", "\t//evil.example": "/mailboxes", "/\t/evil.example": "/mailboxes",
		"///evil.example": "/mailboxes", "/a\nb": "/mailboxes",
	} {
		require.Equal(t, want, inner(next), "%q", next)
	}
}

func TestFiguresAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"0", "999", "1,000", "1,234,567", "-1,234"}, []string{grouped(0), grouped(999), grouped(1000), count(int64(1234567)), grouped(-1234)})
	require.Equal(t, []string{"0 B", "999 B", "1.0 kB", "9.9 MB", "123 MB", "2.0 GB", "5.0 TB"}, []string{size(0), size(999), size(1000), size(9_900_000), size(123_400_000), size(2e9), size(5e12)})
	require.Equal(t, []string{"1 second", "60 seconds", "2 minutes", "2 hours"}, []string{span(0), span(60), span(120), span(7200)})
	require.Equal(t, []string{"$0", "$9", "$7.50"}, []string{price(0), price(900), price(750)})
	require.Equal(t, []string{"It is so.", "Is it?", ""}, []string{sentence("it is so"), sentence("is it?"), sentence(" ")})
	require.Equal(t, []string{"Up to 66 kB", "66 kB to 1.0 MB", "Over 21 MB"}, []string{band(sweep.SizeBlock{To: 64<<10 + 1}), band(sweep.SizeBlock{From: 64<<10 + 1, To: 1<<20 + 1}), band(sweep.SizeBlock{From: 20<<20 + 1})})
	require.Equal(t, "just now", ago(time.Now()))
}

func TestAShareIsNeverRoundedAway(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.IntRange(1, 1_000_000).Draw(t, "whole")
		part := rapid.IntRange(0, whole).Draw(t, "part")
		p := percent(part, whole)
		require.Equal(t, part == 0, p == 0)
		require.Equal(t, part == whole, p == 100)
	})
	require.Zero(t, percent(1, 0))
}
