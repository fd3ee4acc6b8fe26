package emulate

// verdicts of the questions that are answered differently.
var verdicts = map[string]verdict{
	"getProfile":                                               {ours, "Google documents users.getProfile."},
	"messages.list of nothing":                                 {ours, "Google leaves out what is empty; a client must read both."},
	"messages.list, fields=messages/id":                        {ours, "Partial responses are documented for all of Google's JSON APIs; the emulator ignores `fields`."},
	"history.list of ages ago":                                 {ours, "Google keeps history for about a week and answers 404 beyond; a client that never meets that never lists anew."},
	"history.list from what is no number":                      {ours, "The parameter is a uint64."},
	"batchModify of 1,001 ids":                                 {ours, "1,000 ids a call are documented."},
	"batchModify that adds SENT":                               {ours, "SENT and DRAFT cannot be put on or taken off, says the guide to labels."},
	"messages labeled `TRASH`":                                 {unknown, "The documentation names `includeSpamTrash` and `in:`; whether the label alone suffices is not said. The engine asks `in:trash`."},
	"messages matching `in:trash`":                             {ours, "`in:trash` is a documented way to list Trash; the emulator hides Trash unless `includeSpamTrash` is set."},
	"messages matching `in:anywhere`":                          {ours, "Documented; the emulator looks for a label of that name."},
	"messages matching `-in:inbox`":                            {ours, "A minus negates any term; the emulator knows it before `label:` only."},
	"messages matching `-is:unread`":                           {ours, "As `-in:inbox`."},
	"messages matching `-category:promotions`":                 {ours, "As `-in:inbox`."},
	"messages matching `category:promotions`":                  {ours, "A documented operator; the emulator looks for the text. On real accounts without smart features it finds nothing either: the engine asks by label."},
	"messages matching `category:primary`":                     {ours, "As `category:promotions`."},
	"messages matching `from:\"news.0@aurora-shop0.example\"`": {ours, "A quoted value is the value; the emulator keeps the quotes in it."},
	"messages matching `from:new`":                             {ours, "Gmail matches words, not parts of words."},
	"messages matching `has:userlabels`":                       {ours, "Documented; the emulator looks for the text."},
	"messages matching `has:nouserlabels`":                     {ours, "As `has:userlabels`."},
	"messages matching `older_than:1y`":                        {ours, "Documented; the emulator looks for the text."},
	"messages matching `newer_than:1y`":                        {ours, "As `older_than:1y`."},
	"messages matching `larger:1`":                             {ours, "Documented; the emulator looks for the text."},
	"messages matching `smaller:100M`":                         {ours, "As `larger:1`."},
	"messages matching `is:unread OR is:starred`":              {ours, "OR is documented; the emulator drops the word and takes both terms for AND."},
	"messages matching `{is:unread is:starred}`":               {ours, "Braces are documented to mean OR."},
}

// mended is what the proxy puts right before our engine can work with the emulator at all.
const mended = `
What any client of Google's meets first, and ` + "`make emulate`" + ` therefore mends on the way:

* users.getProfile does not exist there. Google has it; it is where a mailbox's history id comes from.
* The id_token is signed with HS256 and no key is published. Google signs with RS256 and publishes its keys.
* History ids have 21 digits. Google's are unsigned 64-bit numbers, and its own clients decode them as such.
`
