//! EVTX files: each record of the file becomes one record of ours, as event XML.
