package box

// kind is what sort of sender a generated one is; it decides category, headers and habits.
type kind uint8

const (
	kindPerson kind = iota
	kindPromotion
	kindSocial
	kindUpdate
	kindForum
)

type unsubscribe uint8

const (
	unsubNone unsubscribe = iota
	unsubMailto
	unsubLink
	unsubOneClick
)

// habit is how mail of one kind is treated by its reader.
type habit struct {
	category             uint16
	unread, inbox        float64 // share
	important, userLabel float64
	body                 string // words that any such mail contains
}

var habits = [...]habit{
	kindPerson:    {personal, 0.10, 0.55, 0.30, 0.16, "hello thanks best regards talk soon"},
	kindPromotion: {promotions, 0.70, 0.80, 0.01, 0.04, "sale offer view in browser unsubscribe from this list privacy policy"},
	kindSocial:    {social, 0.55, 0.75, 0.02, 0.03, "notification new activity unsubscribe manage settings"},
	kindUpdate:    {updates, 0.40, 0.60, 0.12, 0.18, "order account statement reference number do not reply unsubscribe"},
	kindForum:     {forums, 0.50, 0.65, 0.04, 0.12, "wrote posted reply above this line to unsubscribe from this group"},
}

var bodyTokens = func() (out [len(habits)]string) {
	for k, h := range habits {
		out[k] = tokenLine(h.body)
	}
	return out
}()

func (s *Sender) bodyTokens() string { return bodyTokens[s.kind] }

var (
	firstNames = []string{"Anna", "Bruno", "Chen", "Dora", "Émile", "Farah", "Georg", "Hanna", "Ivan", "Jana", "Kofi", "Lucía", "Marek",
		"Nadia", "Øyvind", "Petra", "Quentin", "Rosa", "Sören", "Tara", "Uwe", "Vera", "Wei", "Ximena", "Yusuf", "Zoë", "太郎", "Олег"}
	lastNames = []string{"Adler", "Baker", "Castro", "Dvořák", "Eriksen", "Fischer", "García", "Holm", "Ito", "Jensen", "Kaya", "Lindqvist",
		"Müller", "Novák", "Okafor", "Petit", "Rossi", "Şahin", "Tanaka", "Urban", "Varga", "Weber", "Young", "Żak"}
	asciiNames = []string{"anna", "bruno", "chen", "dora", "emile", "farah", "georg", "hanna", "ivan", "jana", "kofi", "lucia", "marek",
		"nadia", "oyvind", "petra", "quentin", "rosa", "soren", "tara", "uwe", "vera", "wei", "ximena", "yusuf", "zoe", "taro", "oleg"}
	brands = []string{"aurora", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper", "kestrel", "lumen",
		"maple", "nimbus", "opal", "pine", "quartz", "raven", "sable", "tundra", "umber", "velvet", "willow", "yonder", "zephyr"}
	trades = [...][]string{
		kindPerson:    {"mail", "post", "studio", "family", "works"},
		kindPromotion: {"shop", "outlet", "travel", "fashion", "deals", "books"},
		kindSocial:    {"social", "friends", "photos", "dating"},
		kindUpdate:    {"bank", "airline", "store", "energy", "cloud", "parcel"},
		kindForum:     {"lists", "groups", "dev", "club"},
	}
	localParts = [...][]string{
		kindPromotion: {"news", "offers", "hello", "promo"},
		kindSocial:    {"notify", "updates", "no-reply"},
		kindUpdate:    {"no-reply", "billing", "orders", "alerts"},
		kindForum:     {"users", "announce", "dev", "talk"},
	}
	subjectHeads = [...][]string{
		kindPerson:    {"Lunch", "Photos from the weekend", "Quick question", "Notes", "Flat keys", "Birthday", "Draft contract", "Café?", "Trip plans", "Re: your visit"},
		kindPromotion: {"50% off", "Last chance", "New arrivals", "Your weekly deals", "Free shipping", "Sommerschlußverkauf 🎉", "We miss you", "Members only", "Gift ideas", "Flash sale"},
		kindSocial:    {"New follower", "You have a new message", "Tagged you in a photo", "Friend suggestion", "Trending today", "Your week in review"},
		kindUpdate:    {"Your order has shipped", "Invoice", "Security alert", "Statement is ready", "Payment received", "Booking confirmation", "Password changed", "Delivery today"},
		kindForum:     {"Digest", "Release candidate", "Question about builds", "Meeting minutes", "Call for papers", "Bug in parser", "Vote"},
	}
	subjectTails = []string{"", "", " this week", " for you", " inside", " (update)", ": details", " – part 2", " #2041", " today"}
	userLabels   = []string{"Receipts", "Travel", "Work", "Work/Projects", "Family", "Taxes", "To read", "House", "School", "Follow up"}
	fileNames    = []string{"report.pdf", "photo.jpg", "invoice.pdf", "slides.pptx", "notes.docx", "archive.zip", "table.xlsx"}
)
