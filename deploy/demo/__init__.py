"""The demo: will this flight from New York arrive late? Real flights, weather and planes of 2013."""
