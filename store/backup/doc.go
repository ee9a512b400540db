// Package backup makes copies of a data directory while the server runs, tells
// whether they are whole, and brings one back.
//
// A directory of backups holds one subdirectory for each, named by its time:
//
//	20261123T041500.000Z/
//		store/          opens like any store
//		files/          what goes along from beside the store: certificates and keys
//		MANIFEST.json   every file with its size and SHA-256; written last
//
// Files that have not changed since are hard links to those of the backup
// before, or where the disk is the same one to the store's own. A backup can be
// removed like any directory; the others stay whole. What has no manifest is a
// backup that was interrupted. One that was found faulty has ".faulty" behind its name
// and is passed over.
//
// The functions may run while a server has the store; nothing here is for
// concurrent use on one directory of backups.
package backup
