package pop

// phrase is a text that a reply says, in whatever language the session has. What
// goes into it, and in which order, is to be seen in [english].
type phrase uint8

// The phrases. Words of the protocol, such as response codes and the names of
// commands, are no part of them or the same in every language.
const (
	sayGreeting phrase = iota
	sayGoodbye
	sayShutdown
	sayNothingDone
	sayUnknownCommand
	sayLineTooLong
	sayNUL
	sayTooManyErrors
	saySignInFirst
	saySignedIn
	sayNoArgument
	sayUsage
	sayCapabilities
	sayMechanisms
	sayScanListing
	sayUIDListing
	sayTop
	sayOctets
	sayMaildrop
	sayReset
	sayMarked
	sayMarkedAlready
	sayNumberDigits
	sayLinesDigits
	sayNoSuchMessage
	sayGone
	sayMoved
	sayMayNotDelete
	sayMayNotRead
	sayDamaged
	sayReadOnly
	sayLater
	sayNotRemoved
	sayPASSPlease
	sayPASSAfterUSER
	sayNotUTF8
	sayWrong
	sayInsecure
	sayLocked
	sayNoService
	sayNoMailbox
	saySignInLater
	sayMalformed
	sayNoMechanism
	sayCancelled
	sayNotBase64
	sayResponseTooLong
	sayNoEnd
	sayEmptyDue
	sayNoAPOP
	sayAlert
	sayLoginDelay
	sayTLSOn
	sayNoTLS
	sayBeginTLS
	sayUTF8On
	sayLanguages
	sayLanguage
	sayNoLanguage
	sayOnlyXMIT
	saySendingOff
	saySend
	sayAccepted
	sayRefused
	sayNotTaken
	sayNotTakenLater
	sayLinesEndCRLF
	sayHoldsNUL
	sayTooLarge
	sayHeaderTooLarge
	sayNoRecipient
	sayManyRecipients
	sayFoldedFirst
	sayUnreadable

	phraseCount // how many there are
)

// phrases are the texts of one language.
type phrases [phraseCount]string
