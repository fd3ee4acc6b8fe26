package account

import "strings"

// browsers and systems by what tells them in a User-Agent, the telling ones first: most browsers name others too.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"SamsungBrowser/", "Samsung Internet"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}}
	systems = [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}
)

// program says in our own words what sent a User-Agent, such as Firefox on Linux. Nothing of the header itself is kept: strangers write it.
func program(agent string) string {
	browser, system := told(browsers, agent), told(systems, agent)
	switch {
	case browser == "" && system == "":
		return "Unknown program"
	case browser == "":
		return "Unknown program on " + system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

func told(words [][2]string, agent string) string {
	for _, w := range words {
		if strings.Contains(agent, w[0]) {
			return w[1]
		}
	}
	return ""
}
