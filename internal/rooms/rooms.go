// Package rooms holds tests of the rules about which package may import which. Imports go down from
// experiments to the public packages to the ground floor, and code that relies on the inside of
// another module has one place.
package rooms
