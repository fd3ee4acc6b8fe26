package sweep

// Presets are three depths of cleaning, from the most careful to the boldest; each holds the one before. A title begins with the preset's name.
// Their counts are those of a mailbox, and are 0 here.
func Presets() []Suggestion {
	tab := func(c Category, days int64) Criteria {
		return Criteria{Op: All, Kids: []Criteria{{Op: ByCategory, Text: string(c)}, {Op: OlderThanDays, Number: days}}}
	}
	careful := tab(Promotions, 365)
	careful.Kids = append(careful.Kids, Criteria{Op: ByUnread, Flag: true})
	medium := Criteria{Op: Any, Kids: []Criteria{tab(Promotions, 90), tab(Social, 90)}}
	deep := Criteria{Op: Any, Kids: []Criteria{tab(Promotions, 30), tab(Social, 30), tab(Forums, 90), tab(Updates, 365)}}
	return []Suggestion{
		{Title: "Conservative: unread promotions older than a year", Criteria: careful, Action: Trash},
		{Title: "Moderate: promotions and social mail older than 90 days", Criteria: medium, Action: Trash},
		{Title: "Aggressive: promotions and social mail older than 30 days, forums older than 90, updates older than a year", Criteria: deep, Action: Trash},
	}
}
