package httpapi

// Hostile lends the bodies to the tests of the routes.
func Hostile() map[string]string { return hostile() }
