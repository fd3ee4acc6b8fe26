package account

// The places that sealed values are bound to.
var (
	FactorPlace   = factorPlace
	VerifierPlace = verifierContext
	TokenPlace    = tokenPlace
)
