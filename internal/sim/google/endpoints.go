package google

// Scopes of Gmail. The restricted ones need verification at Google.
const (
	ScopeMail     = "https://mail.google.com/"
	ScopeModify   = "https://www.googleapis.com/auth/gmail.modify"
	ScopeReadonly = "https://www.googleapis.com/auth/gmail.readonly"
	ScopeMetadata = "https://www.googleapis.com/auth/gmail.metadata"
	ScopeLabels   = "https://www.googleapis.com/auth/gmail.labels"
	ScopeInsert   = "https://www.googleapis.com/auth/gmail.insert"
	ScopeSettings = "https://www.googleapis.com/auth/gmail.settings.basic"
	scopeCompose  = "https://www.googleapis.com/auth/gmail.compose"
	scopeSend     = "https://www.googleapis.com/auth/gmail.send"
)

// Scope lists of the methods, from Gmail's discovery document.
var (
	forReading  = []string{ScopeMail, ScopeModify, ScopeReadonly, ScopeMetadata}
	forProfile  = append([]string{scopeCompose}, forReading...)
	forLabels   = append([]string{ScopeLabels}, forReading...)
	forLabeling = []string{ScopeMail, ScopeModify, ScopeLabels}
	forChanging = []string{ScopeMail, ScopeModify}
	forDeleting = []string{ScopeMail}
	forInsert   = []string{ScopeMail, ScopeModify, ScopeInsert}
	forBodies   = []string{ScopeMail, ScopeModify, ScopeReadonly}
	forDrafts   = []string{ScopeMail, ScopeModify, ScopeReadonly, scopeCompose}
	forSending  = []string{ScopeMail, ScopeModify, scopeCompose, scopeSend}
	forDraft    = []string{ScopeMail, ScopeModify, scopeCompose}
	forFilters  = []string{ScopeMail, ScopeModify, ScopeReadonly, ScopeSettings}
	forSettings = []string{ScopeSettings}
)

// endpoint is one method of the API.
type endpoint struct {
	pattern string
	method  string
	scopes  []string
	run     func(*call) (any, error) // a nil value is answered 204
}

func endpoints() []endpoint {
	const u = "/gmail/v1/users/{user}"
	return []endpoint{
		{"GET " + u + "/profile", "getProfile", forProfile, getProfile},
		{"GET " + u + "/labels", "labels.list", forLabels, listLabels},
		{"POST " + u + "/labels", "labels.create", forLabeling, createLabel},
		{"GET " + u + "/labels/{id}", "labels.get", forLabels, getLabel},
		{"PUT " + u + "/labels/{id}", "labels.update", forLabeling, updateLabel},
		{"PATCH " + u + "/labels/{id}", "labels.patch", forLabeling, updateLabel},
		{"DELETE " + u + "/labels/{id}", "labels.delete", forLabeling, deleteLabel},
		{"GET " + u + "/messages", "messages.list", forReading, listMessages},
		{"GET " + u + "/messages/{id}", "messages.get", forReading, getMessage},
		{"DELETE " + u + "/messages/{id}", "messages.delete", forDeleting, deleteMessage},
		{"POST " + u + "/messages/{id}/modify", "messages.modify", forChanging, modifyMessage},
		{"POST " + u + "/messages/{id}/trash", "messages.trash", forChanging, trashMessage},
		{"POST " + u + "/messages/{id}/untrash", "messages.untrash", forChanging, untrashMessage},
		{"POST " + u + "/messages/batchModify", "messages.batchModify", forChanging, batchModify},
		{"POST " + u + "/messages/batchDelete", "messages.batchDelete", forDeleting, batchDelete},
		{"GET " + u + "/threads", "threads.list", forReading, listThreads},
		{"GET " + u + "/threads/{id}", "threads.get", forReading, getThread},
		{"POST " + u + "/threads/{id}/modify", "threads.modify", forChanging, modifyThread},
		{"POST " + u + "/threads/{id}/trash", "threads.trash", forChanging, trashThread},
		{"POST " + u + "/threads/{id}/untrash", "threads.untrash", forChanging, untrashThread},
		{"DELETE " + u + "/threads/{id}", "threads.delete", forDeleting, deleteThread},
		{"GET " + u + "/history", "history.list", forReading, listHistory},
		{"POST " + u + "/messages", "messages.insert", forInsert, insertMessage},
		{"POST /upload" + u + "/messages", "messages.insert", forInsert, resumable(insertMessage)},
		{"POST " + u + "/messages/import", "messages.import", forInsert, importMessage},
		{"POST /upload" + u + "/messages/import", "messages.import", forInsert, resumable(importMessage)},
		{"POST " + u + "/messages/send", "messages.send", forSending, sendMessage},
		{"POST /upload" + u + "/messages/send", "messages.send", forSending, resumable(sendMessage)},
		{"GET " + u + "/messages/{message}/attachments/{attachment}", "messages.attachments.get", forBodies, getAttachment},
		{"GET " + u + "/drafts", "drafts.list", forDrafts, listDrafts},
		{"GET " + u + "/drafts/{draft}", "drafts.get", forDrafts, getDraft},
		{"POST " + u + "/drafts/send", "drafts.send", forDraft, sendDraft},
		{"POST " + u + "/watch", "watch", forReading, watch},
		{"POST " + u + "/stop", "stop", forReading, stopWatch},
		{"GET " + u + "/settings/filters", "settings.filters.list", forFilters, listFilters},
		{"POST " + u + "/settings/filters", "settings.filters.create", forSettings, createFilter},
		{"GET " + u + "/settings/filters/{filter}", "settings.filters.get", forFilters, getFilter},
		{"DELETE " + u + "/settings/filters/{filter}", "settings.filters.delete", forSettings, deleteFilter},
	}
}

// Methods are the names of all calls that the Sim answers, as the quota page has them.
func Methods() (out []string) {
	for _, e := range endpoints() {
		out = append(out, e.method)
	}
	return out
}
