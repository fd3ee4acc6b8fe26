package web

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const notificationsPath = "/settings/notifications"

func (p *Pages) notificationRoutes(e *echo.Echo) {
	e.GET(notificationsPath, p.signed(sweep.Viewer, p.notifications))
	e.POST(notificationsPath, p.signed(sweep.Viewer, p.putNotifications))
}

// notificationsPage is which mails come to who looks: those to choose, and those that always do.
type notificationsPage struct{ Choices, Always []account.NoticeView }

func notificationsOf(n account.Notices) (page notificationsPage) {
	for _, v := range n.Items {
		if v.Always == "" {
			page.Choices = append(page.Choices, v)
		} else {
			page.Always = append(page.Always, v)
		}
	}
	return page
}

func (p *Pages) notifications(c echo.Context, a sweep.Actor) error {
	n, err := p.Account.Notices(c.Request().Context(), a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "notifications", "Notifications", notificationsOf(n))
}

// putNotifications turns off what was not ticked of those that were there to tick.
func (p *Pages) putNotifications(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	form, err := formOf(c)
	if err != nil {
		return err
	}
	off := slices.DeleteFunc(form["asked"], func(kind string) bool { return slices.Contains(form["on"], kind) })
	if _, err := p.Account.PutNotices(ctx, a, off); err != nil {
		return err
	}
	return p.go_(c, notificationsPath)
}
