"""Sound as arrays: reading, resampling, features, augmentation; arrays in, arrays out."""
