package httpapi

import "github.com/danielgtaylor/huma/v2"

// routes registers every operation, resource by resource.
func (s *server) routes(api huma.API) {
	s.authRoutes(api)
	s.passwordRoutes(api)
	s.emailRoutes(api)
	s.sessionRoutes(api)
	s.factorRoutes(api)
	s.googleRoutes(api)
	s.keyRoutes(api)
	s.peopleRoutes(api)
	s.allowlistRoutes(api)
	s.notificationRoutes(api)
	s.mailboxRoutes(api)
	s.cleanupRoutes(api)
	s.planRoutes(api)
	s.jobRoutes(api)
	s.usageRoutes(api)
	s.billingRoutes(api)
	s.accountRoutes(api)
	s.exportRoutes(api)
	s.auditRoutes(api)
	s.healthRoutes(api)
}
