//! What `deploy/` holds is good for its programs.
