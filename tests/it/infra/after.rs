//! The check after a deployment: the script, run against an app that is right and apps that are not.
