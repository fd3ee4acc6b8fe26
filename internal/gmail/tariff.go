package gmail

import "mailsweep/internal/sweep"

// Method names a call of the Gmail API as Google's quota page does.
type Method string

// The calls that Mailsweep makes. The transport lets no other out.
const (
	GetProfile   Method = "getProfile"
	LabelsList   Method = "labels.list"
	LabelsGet    Method = "labels.get"
	LabelsCreate Method = "labels.create"
	LabelsDelete Method = "labels.delete"
	MessagesList Method = "messages.list"
	MessagesGet  Method = "messages.get"
	BatchModify  Method = "messages.batchModify"
	HistoryList  Method = "history.list"
)

// changes says that the call changes the mailbox.
func (m Method) changes() bool { return m == BatchModify || m == LabelsCreate || m == LabelsDelete }

// Tariff says what a call costs and how many units a minute carries.
type Tariff struct {
	Name             string // the quota metric that Google shows for it, without the service
	PerUserMinute    int    // units
	PerProjectMinute int    // units
	Units            map[Method]int
}

// TariffNew holds for projects made on or after 2026-05-01 (Gmail API, "Usage limits").
func TariffNew() Tariff {
	return Tariff{Name: "total_query_cost", PerUserMinute: 6_000, PerProjectMinute: 1_200_000, Units: map[Method]int{
		GetProfile: 1, LabelsList: 1, LabelsGet: 1, LabelsCreate: 5, LabelsDelete: 5,
		MessagesList: 5, MessagesGet: 20, BatchModify: 50, HistoryList: 2,
	}}
}

// TariffOld holds for projects that used the API before (Gmail API, "Usage limits").
func TariffOld() Tariff {
	t := TariffNew()
	t.Name, t.PerUserMinute = "default", 15_000
	t.Units[MessagesGet] = 5
	return t
}

// TariffNamed finds a tariff by its Name; "" is the new one. Another name is Invalid.
func TariffNamed(name string) (Tariff, error) {
	for _, t := range []Tariff{TariffNew(), TariffOld()} {
		if name == t.Name || name == "" {
			return t, nil
		}
	}
	return Tariff{}, sweep.Errorf(sweep.Invalid, "no such Gmail tariff: use total_query_cost or default")
}
